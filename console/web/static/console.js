// Brings GOV.UK Frontend's components to life.
import { initAll } from "./vendor/govuk-frontend.min.js";

initAll();
