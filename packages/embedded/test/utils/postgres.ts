/** A PostgreSQL server for tests, in a temporary directory. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { execFileSync } from "node:child_process"
import { chownSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** Why there is no server. */
export class NoPostgres extends Data.TaggedError("NoPostgres")<{ readonly reason: string }> {}

// PostgreSQL refuses to run as root
const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}

const run = (directory: string, command: string, ...args: ReadonlyArray<string>) =>
  execFileSync(command, args, {
    cwd: directory,
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, HOME: directory },
    ...user
  })

const start = (directory: string) => {
  const data = join(directory, "data")
  run(directory, "initdb", "-D", data, "-U", "tinker", "-A", "trust", "--no-sync")
  // it listens on a socket in the directory only
  const options = `-c listen_addresses='' -c unix_socket_directories='${directory}' -c fsync=off`
  run(directory, "pg_ctl", "-D", data, "-w", "-l", join(directory, "log"), "-o", options, "start")
  return Redacted.make(`postgres://tinker@localhost/postgres?host=${encodeURIComponent(directory)}`)
}

const stop = (directory: string) => {
  try {
    run(directory, "pg_ctl", "-D", join(directory, "data"), "-m", "immediate", "stop")
  } catch {
    // it did not start
  }
  rmSync(directory, { recursive: true, force: true })
}

/** The URL of an empty database. Fails with the reason where PostgreSQL is not installed. */
export const make = Effect.acquireRelease(
  Effect.sync(() => {
    const directory = mkdtempSync(join(tmpdir(), "tinker-pg-"))
    if (user.uid !== undefined) chownSync(directory, user.uid, user.gid)
    return directory
  }),
  (directory) => Effect.sync(() => stop(directory))
).pipe(
  Effect.flatMap((directory) =>
    Effect.try({
      try: () => start(directory),
      catch: (cause) => new NoPostgres({ reason: `PostgreSQL does not start: ${String(cause)}` })
    })
  )
)
