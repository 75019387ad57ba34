import { z } from 'zod'
import { colorProblem, proseProblem, textBy } from '../../values/text.ts'
import { linkProblem } from '../../values/uri.ts'
import { file } from './setting-types.ts'

/** Settings of the pages for people. */

const link = () => textBy(linkProblem).nullable()
export const pages = z.strictObject({
  name: textBy(proseProblem).describe('What the pages call this service.'),
  logo: file().nullable().describe('File with its logo: SVG, PNG, JPEG or WebP.'),
  color: textBy(colorProblem).nullable().describe('Accent of buttons and links, as "#rrggbb".'),
  links: z
    .strictObject({
      privacy: link().describe('How the service treats what it learns of people.'),
      terms: link().describe('Its terms.'),
      support: link().describe('Where people get help.'),
    })
    .describe('At the foot of every page.'),
})
