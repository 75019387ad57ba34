import { hash } from 'node:crypto'
import { readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { StoreUnavailable } from '../errors.ts'
import { makePrivateFolder } from '../private-folder.ts'
import { createFile, readWholeFile, replaceFile, syncDirectory } from '../whole-file.ts'

/**
 * Folders of issuers in a directory of keys. The directory itself has the keys of the first issuer;
 * each further issuer has a folder `issuers/<hash of its URL>`. A file `issuer` beside the keys
 * names their owner.
 */
export interface IssuerFolders {
  /**
   * Path of the issuer's folder, which is made if there is none.
   * @throws StoreUnavailable if it belongs to another issuer
   */
  find(issuer: string): Promise<string>
  /** Owner of the directory itself; undefined if no file names one. */
  owner(): Promise<string | undefined>
  /** Makes an issuer the owner of the directory itself if it has none. */
  adopt(issuer: string): Promise<void>
  /** All folders with an owner. */
  owned(): Promise<readonly OwnedFolder[]>
  /**
   * Gives the folder of one issuer to another, which has no keys. Finishes what was cut off before.
   */
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

  async function claim(folder: string, issuer: string): Promise<void> {
    await makePrivateFolder(folder)
    await createFile(join(folder, OWNER), `${issuer}\n`)
  }

  /** Folder that a renaming to this issuer, which was cut off, has not moved yet. */
  async function unmoved(issuer: string): Promise<OwnedFolder | undefined> {
    return (await owned()).find(
      ({ issuer: owner, path }) => owner === issuer && path !== directory && path !== of(issuer),
    )
  }

  /** Folder of an issuer, unless it is empty because its store was only opened. */
  async function filled(issuer: string): Promise<OwnedFolder | undefined> {
    const folder = (await owned()).find((each) => each.issuer === issuer)
    return folder && (folder.path === directory || !(await isEmpty(folder.path)))
      ? folder
      : undefined
  }

  async function find(issuer: string): Promise<string> {
    const folder = of(issuer)
    if ((await ownerOf(folder)) === issuer) return folder
    const former = await unmoved(issuer)
    if (former) return former.path
    await claim(folder, issuer)
    const owner = await ownerOf(folder)
    if (owner === issuer) return folder
    throw new StoreUnavailable(
      `The folder ${folder} belongs to ${owner}, because a renaming was cut off. To finish it, ` +
        `rename ${issuer} to ${owner} again.`,
    )
  }

  return {
    find,
    owner: () => ownerOf(directory),
    adopt: (issuer) => claim(directory, issuer),
    owned,
    rename: async (from, to) => {
      const folder = (await filled(from)) ?? (await unmoved(to))
      if (!folder) return
      const target = of(to)
      if (folder.path !== target) await removeEmpty(target, to)
      if (folder.issuer === from) await replaceFile(join(folder.path, OWNER), `${to}\n`)
      if ([directory, target].includes(folder.path)) return
      await rename(folder.path, target)
      await syncDirectory(further)
    },
  }
}

/** Removes a folder that was made by opening the store of an issuer, or by nobody yet. */
async function removeEmpty(folder: string, issuer: string): Promise<void> {
  if (await isEmpty(folder)) return rm(folder, { recursive: true, force: true })
  throw new StoreUnavailable(`The folder ${folder} of ${issuer} has keys already.`)
}

async function isEmpty(folder: string): Promise<boolean> {
  const names = await Promise.all(
    ['', 'keys', 'events'].map((part) => readdir(join(folder, part)).catch(ifAbsent)),
  )
  return !names.flat().some((name) => name?.endsWith('.json'))
}

async function ownerOf(folder: string): Promise<string | undefined> {
  const text = await readWholeFile(join(folder, OWNER)).catch(ifAbsent)
  return text?.trim()
}

function ifAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
