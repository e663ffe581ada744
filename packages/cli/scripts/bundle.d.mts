export declare const bundle: (options: {
  readonly outdir: string
  readonly local: string
  readonly report: string
}) => Promise<void>
