/** Decides which resources a listing or a search shows to a user. */
import type * as Pagination from "@effect-tinker/api/Pagination"
import * as currentUser from "../auth/currentUser.ts"

/** @internal */
export type AccessScope = Pagination.AccessScope | undefined

/** Whether a listing shows a resource: the user's own, and with the scope `accessible` published ones too. @internal */
export const isListed = (
  user: currentUser.User,
  scope: AccessScope,
  owner: string | undefined,
  isPublic: boolean | undefined
): boolean => currentUser.owns(user, owner) || (scope === "accessible" && isPublic === true)

/** Whether a search by owner shows a resource. @internal */
export const isSearched = (
  user: currentUser.User,
  searched: Pagination.SearchOwner,
  owner: string | undefined,
  isPublic: boolean | undefined
): boolean =>
  isListed(user, searched.type === "own" ? "owned" : "accessible", owner, isPublic) && isOwnerSearched(searched, owner)

/** Whether a search by owner names the owner of a resource. @internal */
export const isOwnerSearched = (searched: Pagination.SearchOwner, owner: string | undefined): boolean =>
  searched.type !== "user" || searched.owner_urns.includes(currentUser.ownerName(owner))

/** Whether metadata has every key and value of a filter. @internal */
export const matchesMetadata = (
  filter: { readonly [key: string]: string },
  metadata: { readonly [key: string]: string } | undefined
): boolean => Object.entries(filter).every(([key, value]) => metadata?.[key] === value)
