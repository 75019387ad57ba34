import { hash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createFile, replaceFile, syncDirectory } from '../whole-file.ts'

/**
 * Folders of issuers in a directory of keys. The directory itself has the keys of the first issuer;
 * each further issuer has a folder `issuers/<hash of its URL>`. A file `issuer` beside the keys
 * names their owner.
 */
export interface IssuerFolders {
  /** Path of the issuer's folder, unless the directory itself belongs to it. */
  of(issuer: string): string
  /** Owner of the directory itself; undefined if no file names one. */
  owner(): Promise<string | undefined>
  /** Makes a folder if there is none, and names its owner if it has none. */
  claim(folder: string, issuer: string): Promise<void>
  /** All folders with an owner. */
  owned(): Promise<readonly OwnedFolder[]>
  /** Gives the folder of one issuer to another. */
  rename(from: string, to: string): Promise<void>
}

interface OwnedFolder {
  readonly issuer: string
  readonly path: string
}

/** Characters of an issuer's hash that name its folder. */
const NAME_LENGTH = 22

/** Name of the file that names the owner of a folder. */
const OWNER = 'issuer'

export function createIssuerFolders(directory: string): IssuerFolders {
  const further = join(directory, 'issuers')
  const of = (issuer: string) =>
    join(further, hash('sha256', issuer, 'base64url').slice(0, NAME_LENGTH))

  async function owned(): Promise<readonly OwnedFolder[]> {
    const names = await readdir(further).catch(ifAbsent)
    const paths = [directory, ...(names ?? []).map((name) => join(further, name))]
    const owners = await Promise.all(
      paths.map(async (path) => ({ path, issuer: await ownerOf(path) })),
    )
    return owners.flatMap(({ path, issuer }) => (issuer === undefined ? [] : { path, issuer }))
  }

  return {
    of,
    owner: () => ownerOf(directory),
    claim: async (folder, issuer) => {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      await createFile(join(folder, OWNER), `${issuer}\n`)
    },
    owned,
    rename: async (from, to) => {
      const folder = (await owned()).find(({ issuer }) => issuer === from)
      if (!folder) return
      // Opening the store of the new URL has made an empty folder.
      if (folder.path !== directory) await rm(of(to), { recursive: true, force: true })
      await replaceFile(join(folder.path, OWNER), `${to}\n`)
      if (folder.path === directory) return
      await rename(folder.path, of(to))
      await syncDirectory(further)
    },
  }
}

async function ownerOf(folder: string): Promise<string | undefined> {
  const text = await readFile(join(folder, OWNER), 'utf8').catch(ifAbsent)
  return text?.trim()
}

function ifAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
