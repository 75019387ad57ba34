/** Seconds between checks. A second is soon enough, because nobody waits for this exit. */
const LOOK_EVERY = 1

/**
 * Ends this process when the npm that started it ends. npm passes on SIGTERM and SIGINT (scripts in
 * `package.json` begin with `exec`, so that no shell swallows them), but not SIGHUP and SIGKILL:
 * without this check the process would stay behind and occupy its port.
 * @param env `process.env`; without `npm_lifecycle_event` no npm started the process
 */
export function endWithNpm(env: Readonly<Record<string, string | undefined>>): void {
  if (env.npm_lifecycle_event === undefined) return
  const parent = process.ppid
  const look = () => {
    if (process.ppid === parent) return
    clearInterval(timer)
    process.kill(process.pid, 'SIGTERM')
  }
  const timer = setInterval(look, LOOK_EVERY * 1000).unref()
}
