/**
 * SQL that makes commits wait for the disk, and for a synchronous standby. A server that is set to
 * wait even longer, until the standby has applied the commit, keeps its setting.
 */
export function waitForDisk(how: 'session' | 'transaction'): string {
  return `set_config('synchronous_commit', CASE current_setting('synchronous_commit')
    WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, ${how === 'transaction'})`
}
