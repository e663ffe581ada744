/**
 * Makes the command as it is published: one small program that starts fast, and a chunk for each group of commands that
 * is loaded when it is needed. Importing its modules one by one takes longer than everything that `--help` does.
 *
 * What runs the embedded service is not bundled: the engine finds its model and its worker beside its own modules.
 */
import { build } from "esbuild"
import { chmodSync, rmSync } from "node:fs"
import { fileURLToPath } from "node:url"

const here = (path) => fileURLToPath(new URL(path, import.meta.url))

/** @param {{ outdir: string, local: string }} options where it goes, and how it imports `src/internal/service/local.ts` */
export const bundle = async ({ local, outdir }) => {
  rmSync(outdir, { recursive: true, force: true })
  await build({
    entryPoints: { tinker: here("../src/bin.ts") },
    outdir,
    bundle: true,
    splitting: true,
    platform: "node",
    target: "node20",
    format: "esm",
    conditions: ["effect-tinker-source"],
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "none",
    // for one command alone; it brings WebAssembly of its own
    external: ["@huggingface/hub"],
    logLevel: "warning",
    // what is CommonJS asks for Node's modules
    banner: {
      js: 'import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);'
    },
    plugins: [
      {
        name: "local",
        setup: ({ onResolve }) => onResolve({ filter: /\/local\.ts$/ }, () => ({ path: local, external: true }))
      }
    ]
  })
  chmodSync(`${outdir}/tinker.js`, 0o755)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await bundle({ outdir: here("../dist/bundle"), local: "../internal/service/local.js" })
}
