import * as OperationsApi from "@effect-tinker/api/OperationsApi"
import * as RestApi from "@effect-tinker/api/RestApi"
import * as TinkerApi from "@effect-tinker/api/TinkerApi"

/** All that the service answers. @internal */
export const Api = TinkerApi.TinkerApi.addHttpApi(OperationsApi.OperationsApi).addHttpApi(RestApi.RestApi)
