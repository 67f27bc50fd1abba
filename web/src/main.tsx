import { render } from "solid-js/web";
import { App } from "./app.tsx";
import { listen } from "./router.ts";
import { start } from "./state.ts";
import { startTheme } from "./ui/theme.ts";
import "./styles/tokens.css";
import "./styles/themes.css";
import "./styles/patterns.css";
import "./styles/page.css";
import "./styles/run.css";
import "./styles/panel.css";
import "./styles/details.css";
import "./styles/logs.css";

startTheme();
listen();
start();
render(() => <App />, document.getElementById("page")!);
