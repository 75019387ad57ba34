/** Seconds between two looks: nobody waits for a program to notice that its npm was killed. */
const LOOK_EVERY = 1

/**
 * Ends this process with the npm that started it. npm passes on SIGTERM and SIGINT (the scripts in
 * `package.json` begin with `exec`, so that no shell between keeps them), but it dies of SIGHUP and
 * SIGKILL alone and would leave this process behind, on its port, where nobody looks for it.
 * @param env `process.env`; without `npm_lifecycle_event`, as no npm started it, nothing is watched
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
