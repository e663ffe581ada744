/** The `FileSystem` of `@effect/platform` over the database of a page. */
import { type PlatformError, SystemError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import * as contents from "./contents.ts"
import type { Database } from "./database.ts"
import * as files from "./open.ts"
import * as tree from "./tree.ts"

const unsupported = (method: string, path: string): PlatformError =>
  new SystemError({
    module: "FileSystem",
    method,
    reason: "Unknown",
    description: "the files of a page have no links, owners or watchers",
    pathOrDescriptor: path
  })

const temporaryDirectory = "/tmp"

/** Six random characters. */
const randomName = Effect.map(Random.nextIntBetween(0, 36 ** 6), (number) => number.toString(36).padStart(6, "0"))

/** Makes a directory of a new name. */
const makeTemporary = (
  database: Database,
  { directory = temporaryDirectory, prefix = "" }: FileSystem.MakeTempDirectoryOptions = {}
): Effect.Effect<string, PlatformError> =>
  Effect.flatMap(randomName, (random) => {
    const path = tree.normalize(`${directory}/${prefix}${random}`)
    return database.run("readwrite", { method: "makeTempDirectory", path }, async (transaction) => {
      if (directory === temporaryDirectory) await tree.makeDirectory(transaction, temporaryDirectory, true)
      await tree.makeDirectory(transaction, path, false)
      return path
    })
  }).pipe(
    // another one has the name
    Effect.retry({ times: 8, while: (error) => error._tag === "SystemError" && error.reason === "AlreadyExists" })
  )

const copyOne = async (transaction: IDBTransaction, from: string, to: string, now: number): Promise<void> => {
  const bytes = await contents.readAll(transaction, await tree.getFile(transaction, from))
  await contents.write(transaction, await files.openFile(transaction, to, "w", now), 0, bytes, now)
}

/** Copies a file, or a directory with all that is in it. */
const copyAll = async (transaction: IDBTransaction, from: string, to: string, now: number): Promise<void> => {
  if ((await tree.get(transaction, from)).kind === "file") return await copyOne(transaction, from, to, now)
  await tree.makeDirectory(transaction, to, true)
  for (const name of await tree.list(transaction, from, false)) {
    await copyAll(transaction, `${from}/${name}`, `${to}/${name}`, now)
  }
}

/** @internal */
export const make = (database: Database): FileSystem.FileSystem => {
  type Body<A> = (transaction: IDBTransaction, path: string, now: number) => Promise<A>
  const run =
    (mode: "readonly" | "readwrite") =>
    <A>(method: string, given: string, body: Body<A>): Effect.Effect<A, PlatformError> =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const path = tree.normalize(given)
        return database.run(mode, { method, path: given }, (transaction) => body(transaction, path, now))
      })
  const [reading, writing] = [run("readonly"), run("readwrite")]
  const remove: FileSystem.FileSystem["remove"] = (path, { force = false, recursive = false } = {}) =>
    writing("remove", path, (transaction, path) => tree.remove(transaction, path, { force, recursive }))
  const access = (path: string): Effect.Effect<void, PlatformError> =>
    reading("access", path, async (transaction, path) => void (await tree.get(transaction, path)))
  const makeTempFile: FileSystem.FileSystem["makeTempFile"] = ({ suffix = "", ...options } = {}) =>
    Effect.flatMap(Effect.zip(makeTemporary(database, options), randomName), ([directory, name]) =>
      writing("makeTempFile", `${directory}/${name}${suffix}`, async (transaction, path, now) => {
        await tree.makeFile(transaction, path, now)
        return path
      })
    )
  const scoped = (made: Effect.Effect<string, PlatformError>, toRemove: (path: string) => string) =>
    Effect.acquireRelease(made, (path) => Effect.ignore(remove(toRemove(path), { force: true, recursive: true })))
  return FileSystem.make({
    access: (path) => access(path),
    // the files of a page are those of its origin alone
    chmod: (path) => access(path),
    chown: (path) => Effect.fail(unsupported("chown", path)),
    copy: (from, to) =>
      writing("copy", from, (transaction, path, now) => copyAll(transaction, path, tree.normalize(to), now)),
    copyFile: (from, to) =>
      writing("copyFile", from, (transaction, path, now) => copyOne(transaction, path, tree.normalize(to), now)),
    link: (path) => Effect.fail(unsupported("link", path)),
    makeDirectory: (path, { recursive = false } = {}) =>
      writing("makeDirectory", path, (transaction, path) => tree.makeDirectory(transaction, path, recursive)),
    makeTempDirectory: (options) => makeTemporary(database, options),
    makeTempDirectoryScoped: (options) => scoped(makeTemporary(database, options), (path) => path),
    makeTempFile,
    makeTempFileScoped: (options) => scoped(makeTempFile(options), (path) => path.slice(0, path.lastIndexOf("/"))),
    open: (path, { flag = "r" } = {}) => files.open(database, tree.normalize(path), flag),
    readDirectory: (path, { recursive = false } = {}) =>
      reading("readDirectory", path, (transaction, path) => tree.list(transaction, path, recursive)),
    readFile: (path) =>
      reading("readFile", path, async (transaction, path) =>
        contents.readAll(transaction, await tree.getFile(transaction, path))
      ),
    readLink: (path) => Effect.fail(unsupported("readLink", path)),
    realPath: (path) => Effect.as(access(path), tree.normalize(path)),
    remove,
    rename: (from, to) =>
      writing("rename", from, (transaction, path) => tree.rename(transaction, path, tree.normalize(to))),
    stat: (path) =>
      reading("stat", path, async (transaction, path) => {
        const entry = await tree.get(transaction, path)
        return files.infoOf(entry.kind === "file" ? await contents.get(transaction, entry.content) : undefined)
      }),
    symlink: (path) => Effect.fail(unsupported("symlink", path)),
    truncate: (path, length = 0) =>
      writing("truncate", path, async (transaction, path, now) =>
        contents.truncate(transaction, await tree.getFile(transaction, path), Number(length), now)
      ),
    utimes: (path) => access(path),
    watch: (path) => Stream.fail(unsupported("watch", path)),
    writeFile: (path, data, { flag = "w" } = {}) =>
      writing("writeFile", path, async (transaction, path, now) => {
        const content = await files.openFile(transaction, path, flag, now)
        const at = flag.startsWith("a") ? (await contents.get(transaction, content)).size : 0
        await contents.write(transaction, content, at, data, now)
      })
  })
}
