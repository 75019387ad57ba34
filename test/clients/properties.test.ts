import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { clientSchema, describedProperties, OWN_PROPERTIES } from '../../src/clients/properties.ts'
import { keyturnIn } from '../cli/keyturn.ts'

describe('the properties of a client', () => {
  it('are all listed in the help of clients add', async () => {
    await using cli = await keyturnIn()
    const { out } = await cli.run(['clients', 'add', '--help'])
    const listed = [...out.matchAll(/^ {2}([a-z_]+) {2}/gm)].map(([, name]) => name)
    assert.deepEqual(
      listed,
      describedProperties().map(([name]) => name),
    )
    assert.ok(listed.includes('redirect_uris'))
  })

  it("that are Keyturn's own are optional and have a description", () => {
    const shape: Readonly<Record<string, { description?: string | undefined }>> = clientSchema.shape
    for (const name of OWN_PROPERTIES) assert.ok(shape[name]?.description, name)
    assert.ok(clientSchema.safeParse({ client_id: 'a' }).success)
  })
})
