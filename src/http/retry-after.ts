/** Seconds for `Retry-After` while this node or a store is unavailable. */
export const RETRY_AFTER = '5'
