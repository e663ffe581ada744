/** The worker of the page: the model is trained and sampled here. */
import * as BrowserWorker from "@effect-tinker/embedded/BrowserWorker"

BrowserWorker.run()
