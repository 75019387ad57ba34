import { z } from 'zod'
import type { SettingNode } from '../schema/tree.ts'
import { withIssuersNode } from './issuers.ts'
import { settingsSchema } from './schema.ts'

let tree: SettingNode | undefined

/** The tree of all settings as files write them. */
export function settingTree(): SettingNode {
  // The cast narrows zod's type of JSON Schema to the keywords that zod writes for this schema.
  tree ??= withIssuersNode(z.toJSONSchema(settingsSchema, { io: 'input' }) as SettingNode)
  return tree
}
