// Everything that script adds. Each module stands alone: without it the page still does its work.

import "./page.js";
import "./secret.js";
import "./live-url.js";
import "./tiles.js";
import "./confirm.js";
import "./configure.js";
import "./save.js";
import "./overlay.js";
