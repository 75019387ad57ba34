import { z } from 'zod'
import type { SettingNode } from '../schema/tree.ts'
import { withIssuersNode } from './issuers.ts'
import { settingsSchema } from './schema.ts'

/** The tree of all settings, as they are written in files. */
export function settingTree(): SettingNode {
  // The cast narrows zod's type of JSON Schema to the keywords that zod writes for this schema.
  return withIssuersNode(z.toJSONSchema(settingsSchema, { io: 'input' }) as SettingNode)
}
