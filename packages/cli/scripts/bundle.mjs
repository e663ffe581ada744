/**
 * Bundles the published command: a small program, and a chunk for each group of commands, which is loaded when it is
 * needed. Importing the modules one by one would take longer than all the work of `--help`.
 *
 * The embedded service is not bundled: the engine loads its model and its worker from files beside its modules.
 */
import { build } from "esbuild"
import { chmodSync, rmSync } from "node:fs"
import { fileURLToPath } from "node:url"

const here = (path) => fileURLToPath(new URL(path, import.meta.url))

/**
 * @param {{ outdir: string, local: string, report: string }} options the output directory, and the specifiers for
 * `src/internal/service/local.ts` and the cookbook's `NodeReport`, which reads files beside it
 */
export const bundle = async ({ local, outdir, report }) => {
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
    // only push-hf uses it; it contains WebAssembly
    external: ["@huggingface/hub"],
    logLevel: "warning",
    // CommonJS dependencies require Node's modules
    banner: {
      js: 'import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);'
    },
    plugins: [
      {
        name: "outside",
        setup: ({ onResolve }) => {
          onResolve({ filter: /\/local\.ts$/ }, () => ({ path: local, external: true }))
          onResolve({ filter: /^@effect-tinker\/cookbook\/NodeReport$/ }, () => ({ path: report, external: true }))
        }
      }
    ]
  })
  chmodSync(`${outdir}/tinker.js`, 0o755)
}

/** Replaces the module of the exporter by one that contains it, and shares Effect with the modules around it. */
const bundleExporter = () =>
  build({
    entryPoints: [here("../src/internal/service/otlp.ts")],
    outfile: here("../dist/internal/service/otlp.js"),
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    external: ["effect", "effect/*", "@effect/platform", "@effect/platform/*"],
    logLevel: "warning"
  })

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await bundle({
    outdir: here("../dist/bundle"),
    local: "../internal/service/local.js",
    report: "@effect-tinker/cookbook/NodeReport"
  })
  await bundleExporter()
}
