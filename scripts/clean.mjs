/**
 * Removes what the compiler has written, so that a build holds no modules that were renamed or removed since: `npm pack`
 * takes whatever it finds in `dist`.
 */
import { readdirSync, rmSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))

for (const name of readdirSync(`${root}packages`)) {
  for (const output of ["dist", "build"]) rmSync(`${root}packages/${name}/${output}`, { recursive: true, force: true })
}
