import { z } from 'zod'
import { duration } from '../../values/duration-setting.ts'
import { databaseUrl, directory, file, hostPort, redisUrl, secret, text } from './setting-types.ts'

/** Settings of stores and of their protection. */

export const database = z.strictObject({
  url: databaseUrl.describe('sqlite:PATH, relative to the working directory, or a server.'),
  connections: z.int().min(2).max(1000).describe('Most connections of one process to a server.'),
  timeout: duration({ max: 60 }).describe('Longest wait for a database server to answer.'),
  consistency: z
    .enum(['cluster', 'node'])
    .describe(
      'In a Galera cluster: whether a node waits for changes that others confirmed before it reads.',
    ),
  durability: z
    .enum(['relaxed', 'full'])
    .describe(
      'Whether sessions and tokens wait for the disk and a synchronous standby, as keys do.',
    ),
})

export const redis = z.strictObject({
  url: redisUrl.nullable().describe('Stores what expires; null leaves it in the database.'),
  cluster: z.array(hostPort).describe('Some nodes of a Redis Cluster, instead of the host of url.'),
  sentinels: z.array(hostPort).describe('Redis Sentinels, instead of the host of url.'),
  master: text().describe('Name of the master that the Sentinels watch.'),
  prefix: text().describe('Begins every key and channel, so that deployments can share a server.'),
  timeout: duration({ max: 60 }).describe('Longest wait for Redis to answer.'),
})

export const keyStore = z.strictObject({
  type: z
    .enum(['database', 'file', 'module', 'memory'])
    .describe('Where signing keys are kept; memory forgets them at exit.'),
  path: directory().describe('Directory of keys, for type file.'),
  module: file().nullable().describe('ES module that exports createKeyStore, for type module.'),
})

export const seal = z.strictObject({
  protector: z
    .enum(['file', 'environment'])
    .describe('Where the key-encryption keys that seal signing keys come from.'),
  file: file().describe('JWK Set of key-encryption keys, newest first, for protector file.'),
  keys: secret(
    z.string().nullable().describe('Key-encryption keys themselves, for protector environment.'),
  ),
})
