/** What a message is about: keys and events of the rings, or registered clients. */
export type Topic = 'ring' | 'clients'

/**
 * Word from node to node that something changed. It saves waiting; nothing depends on it, as every
 * node also looks by itself (`rotation.refreshInterval`).
 */
export interface Messages {
  /**
   * Tells the other nodes. Never rejects.
   * @returns false where the message could not be sent: they find out by themselves
   */
  publish(topic: Topic): Promise<boolean>
  /** Calls the listener with every message of another process, and where some may have been missed. */
  subscribe(topic: Topic, listener: () => void): void
  close(): void
}

/** Where nodes have nothing to talk over. */
export const noMessages: Messages = {
  publish: async () => false,
  subscribe: () => {},
  close: () => {},
}
