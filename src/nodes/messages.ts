/** Subject of a message: keys and events of the rings, or registered clients. */
export type Topic = 'ring' | 'clients'

/**
 * Messages between nodes that something changed. They only save time, because every node also reads
 * the store regularly (`rotation.refreshInterval`).
 */
export interface Messages {
  /**
   * Sends a message to the other nodes. Never rejects.
   * @returns false if the message could not be sent; the nodes then notice the change later
   */
  publish(topic: Topic): Promise<boolean>
  /**
   * Calls the listener for every message of another process, and if messages may have been missed.
   */
  subscribe(topic: Topic, listener: () => void): void
  close(): void
}

/** For deployments without a channel between nodes. */
export const noMessages: Messages = {
  publish: async () => false,
  subscribe: () => {},
  close: () => {},
}
