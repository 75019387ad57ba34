import type { Configuration } from 'oidc-provider'
import { TooManyGuesses } from '../oidc/metered.ts'
import { Outage } from '../oidc/outage.ts'
import type { Log } from '../seldom-log.ts'
import { aboutClient, clientName } from './about-client.ts'
import { createErrorId, logProviderError } from './error-log.ts'
import { formOf } from './provider-form.ts'
import type { Pages, Views } from './views.ts'
import { inWords } from './waiting.ts'

type Features = NonNullable<Configuration['features']>

const START_AGAIN: Pick<Pages['error'], 'title' | 'message'> = {
  title: 'Please start again',
  message: 'Open the address that your device shows once more and enter its code there.',
}

/** Device flow: what oidc-provider reports when it shows the code form again, by name. */
const DEVICE_PROBLEMS: Readonly<Record<string, string>> = {
  NoCodeError: 'Enter the code that your device shows.',
  NotFoundError: 'This code is not known. Compare it with the one on your device.',
  ExpiredError: 'This code has expired. Ask your device for a new one.',
  AlreadyUsedError: 'This code was used before. Ask your device for a new one.',
}

/** The pages on which a person connects a device (RFC 8628). */
export function devicePages(views: Views, log: Log) {
  return {
    userCodeInputSource(ctx, _form, out, error) {
      if (error?.name === 'AbortedError') {
        return views.render(ctx, 'done', {
          title: 'The device was not connected',
          message: 'Nothing was shared with it. You can close this page.',
          outcome: 'stopped',
        })
      }
      const limited = error instanceof TooManyGuesses ? error.retryAfter : undefined
      if (error && !(error.name in DEVICE_PROBLEMS) && limited === undefined) {
        const isOurs = out?.error === 'server_error' || error instanceof Outage
        logProviderError(log, { errorId: createErrorId(), ctx, error, isOurs })
      }
      const { session } = ctx.oidc
      if (error && session && session.exp === undefined) {
        // No browser has this session's cookie, so no form could belong to it, and
        // oidc-provider cannot save the session any more.
        Object.assign(session, { touched: false })
        return views.render(ctx, 'error', { ...START_AGAIN, status: 400 })
      }
      const fallback = 'That did not work. Please enter the code again.'
      const wait = limited && `Too many wrong codes. Please try again ${inWords(limited)}.`
      const problem = error && (wait ?? DEVICE_PROBLEMS[error.name] ?? fallback)
      const { action, xsrf } = formOf(ctx, 'code_verification')
      views.render(ctx, 'device-code', {
        action,
        xsrf,
        userCode: error && 'userCode' in error ? String(error.userCode) : '',
        ...(problem ? { problem } : {}),
      })
    },
    userCodeConfirmSource(ctx, _form, client, _deviceInfo, userCode) {
      const { action, xsrf } = formOf(ctx, 'code_verification')
      views.render(ctx, 'device-confirm', {
        action,
        xsrf,
        userCode,
        client: aboutClient(client),
      })
    },
    successSource(ctx) {
      const name = ctx.oidc.client && clientName(ctx.oidc.client)
      views.render(ctx, 'done', {
        outcome: 'done',
        title: 'Your device is connected',
        message: name ? `Go back to it to use ${name}.` : 'Go back to it.',
      })
    },
  } satisfies Features['deviceFlow']
}
