export declare const bundle: (options: { readonly outdir: string; readonly local: string }) => Promise<void>
