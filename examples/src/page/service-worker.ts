/** Keeps all files of the page in the browser, so that it needs no network after the first load. */

/** What the build puts in: the files of the page, and a hash of them all. */
declare const FILES: ReadonlyArray<string>
declare const VERSION: string

interface ExtendableEvent extends Event {
  readonly waitUntil: (promise: Promise<unknown>) => void
}

interface FetchEvent extends ExtendableEvent {
  readonly request: Request
  readonly respondWith: (response: Promise<Response>) => void
}

interface Scope {
  readonly addEventListener: ((type: "install" | "activate", listener: (event: ExtendableEvent) => void) => void) &
    ((type: "fetch", listener: (event: FetchEvent) => void) => void)
  readonly skipWaiting: () => Promise<void>
  readonly clients: { readonly claim: () => Promise<void> }
}

const scope = globalThis as unknown as Scope
const prefix = "page-"
const name = prefix + VERSION

const install = async (): Promise<void> => {
  const cache = await caches.open(name)
  // past the browser's own cache, which may hold files of another version
  await cache.addAll(FILES.map((file) => new Request(file, { cache: "reload" })))
  await scope.skipWaiting()
}

const activate = async (): Promise<void> => {
  const old = (await caches.keys()).filter((other) => other.startsWith(prefix) && other !== name)
  await Promise.all(old.map((other) => caches.delete(other)))
  await scope.clients.claim()
}

const respond = async (request: Request): Promise<Response> => {
  const cache = await caches.open(name)
  return (await cache.match(request, { ignoreSearch: true })) ?? (await fetch(request))
}

scope.addEventListener("install", (event) => event.waitUntil(install()))
scope.addEventListener("activate", (event) => event.waitUntil(activate()))
scope.addEventListener("fetch", (event) => {
  if (event.request.method === "GET") event.respondWith(respond(event.request))
})
