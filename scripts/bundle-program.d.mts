import type { Plugin } from "esbuild"

export declare const keepUrls: (options?: { readonly except: ReadonlyArray<string> }) => Plugin

export declare const bundleProgram: (entry: string) => Promise<string>
