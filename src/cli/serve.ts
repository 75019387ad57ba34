import type { Command } from 'commander'
import type { Config } from '../config/schema.ts'
import { createLog } from '../log.ts'
import { type KeyturnServer, startServer } from '../main.ts'
import { type Context, loadCommandConfig } from './context.ts'

export function addServe(program: Command, context: Context): void {
  program
    .command('serve')
    .description('start the token server')
    .action(async () => {
      const config = loadCommandConfig(program, context)
      const log = createLog(config.log)
      const stopped = Promise.withResolvers<void>()
      for (const signal of ['SIGTERM', 'SIGINT'] as const)
        process.once(signal, () => stopped.resolve())
      const server = await startServer(config, { log })
      context.print(banner(config, server))
      await stopped.promise
      log.info('stopping: open requests finish first')
      await server.close()
      log.info('stopped')
    })
}

/** What a person who has just started Keyturn wants to know. */
function banner(
  { issuer, admin }: Config,
  { administrator, managementUrl }: KeyturnServer,
): string {
  const lines = [
    '',
    `  Keyturn is running.`,
    '',
    `  Issuer      ${issuer}`,
    `  Open        ${issuer}/.well-known/openid-configuration`,
    `  Health      ${managementUrl}/health/ready`,
    `  Next        npm run --silent keyturn -- keys plan`,
    '              npm run demo   (a relying party in the browser)',
    '',
  ]
  if (administrator) {
    lines.push(
      '  This is the first start. The administrator, whose password is shown this once and must be',
      '  changed at the first sign-in:',
      '',
      `  User name   ${admin.username}`,
      `  Password    ${administrator.oneTimePassword}`,
      '',
    )
  }
  return lines.join('\n')
}
