import { type ChildProcess, fork } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A server under test in a process of its own, which ends with this process, however that ends. */
export interface Child {
  readonly port: number
  /** Runs a command of the child, see `serveCommands`. */
  call<Result>(name: string, argument?: unknown): Promise<Result>
  stop(): Promise<void>
}

/** Commands that a server under test answers to its parent. */
export type Commands = Readonly<Record<string, (argument: never) => unknown>>

interface Call {
  readonly id: number
  readonly name: string
  readonly argument: unknown
}

interface Reply {
  readonly id: number
  readonly result?: unknown
  readonly error?: string
}

interface Ready {
  readonly port: number
}

const START_LIMIT = 60_000
const CALL_LIMIT = 120_000

/**
 * @param file of `bench/servers`
 * @param folder for its log
 * @throws with the end of its log if it does not start
 */
export async function startChild(
  file: string,
  { folder, args = [] }: { folder: string; args?: readonly string[] },
): Promise<Child> {
  const logFile = join(folder, `${file}.log`)
  const log = openSync(logFile, 'a')
  const child = fork(join(import.meta.dirname, 'servers', file), [...args], {
    stdio: ['ignore', log, log, 'ipc'],
  })
  closeSync(log)
  const calls = new Map<number, PromiseWithResolvers<unknown>>()
  const ready = Promise.withResolvers<Ready>()
  const exited = Promise.withResolvers<void>()

  child.on('message', (message: Ready | Reply) => {
    if ('port' in message) return ready.resolve(message)
    const call = calls.get(message.id)
    calls.delete(message.id)
    if (message.error === undefined) call?.resolve(message.result)
    else call?.reject(new Error(`${file}: ${message.error}`))
  })
  child.on('exit', (status) => {
    const error = new Error(`${file} ended with ${status}:\n${tail(logFile)}`)
    ready.reject(error)
    for (const call of calls.values()) call.reject(error)
    exited.resolve()
  })

  const { port } = await within(START_LIMIT, `${file} to start`, ready.promise).catch(
    async (error) => {
      await stop(child, exited.promise)
      throw error
    },
  )
  let id = 0
  return {
    port,
    call: <Result>(name: string, argument?: unknown) => {
      const call = Promise.withResolvers<unknown>()
      id += 1
      calls.set(id, call)
      child.send({ id, name, argument } satisfies Call)
      // The caller names the type of each command's result.
      return within(CALL_LIMIT, `${file} to ${name}`, call.promise) as Promise<Result>
    },
    stop: () => stop(child, exited.promise),
  }
}

/** Runs in the child: reports the port and answers the parent's commands until the parent ends. */
export function serveCommands(port: number, commands: Commands): void {
  process.on('message', async ({ id, name, argument }: Call) => {
    try {
      const command = commands[name]
      if (!command) throw new TypeError(`no command ${name}`)
      const result = await command(argument as never)
      process.send?.({ id, result } satisfies Reply)
    } catch (error) {
      process.send?.({ id, error: String(error) } satisfies Reply)
    }
  })
  process.on('disconnect', () => process.exit(0))
  process.send?.({ port } satisfies Ready)
}

async function stop(child: ChildProcess, exited: Promise<void>): Promise<void> {
  if (child.connected) child.disconnect()
  const late = setTimeout(() => child.kill('SIGKILL'), 5000)
  await exited
  clearTimeout(late)
}

/** @throws if the work takes longer than `limit` milliseconds */
export async function within<T>(limit: number, what: string, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new Error(`waited ${limit / 1000} s for ${what}`)),
    limit,
  )
  return Promise.race([work, late.promise]).finally(() => clearTimeout(timer))
}

function tail(file: string): string {
  return readFileSync(file, 'utf8').slice(-2000)
}
