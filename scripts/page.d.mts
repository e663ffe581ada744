import type { Server } from "node:http"

export function buildPage(outdir: string): Promise<void>
export function makeServer(directory: string): Server
export function sizeOf(directory: string): number
