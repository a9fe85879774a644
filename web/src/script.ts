// The entry of the classic script.
import { bind } from "./global.js";

bind();
