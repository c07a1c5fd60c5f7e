"use strict";

const $ = (id) => document.getElementById(id);
const SHOWN = 200;
const UNREACHABLE = "The app cannot be reached.";

let file = null; // a chosen file, instead of the text
let decisions = null; // a second file, of decisions to score
let customers = []; // the answer, riskiest first
let explained = false; // whether the model gives reasons
let shown = SHOWN;

function headers(more) {
  const key = $("key").value.trim();
  return key ? { ...more, "X-API-Key": key } : more;
}

function complain(text) {
  $("problem").textContent = text;
  $("problem").hidden = !text;
  $("problem").scrollIntoView({ block: "nearest" });
}

async function problemOf(response) {
  const otherwise = `The app answered ${response.status}.`;
  try {
    return (await response.json()).detail ?? otherwise;
  } catch {
    return otherwise;
  }
}

async function refused(response) {
  if (response.status === 401) askForKey();
  else complain(await problemOf(response));
}

function askForKey() {
  const key = $("key");
  complain(
    key.value.trim()
      ? "The app does not know this API key. Correct it, then score again."
      : "The app needs an API key. Enter yours as “API key”, then score again.",
  );
  $("more-fields").open = true;
  key.setAttribute("aria-invalid", "true");
  key.setAttribute("aria-describedby", "problem");
  key.focus();
}

function takeKey() {
  for (const mark of ["aria-invalid", "aria-describedby"]) $("key").removeAttribute(mark);
}

async function showModel() {
  try {
    const { model } = await (await fetch("/health")).json();
    $("model").textContent = model
      ? `Model ${model.name}, version ${model.version}`
      : "No model is loaded yet.";
  } catch {
    $("model").textContent = UNREACHABLE;
  }
}

function choose(chosen) {
  file = chosen;
  $("file-name").textContent = chosen ? chosen.name : "";
  $("progress").textContent = "";
  if (chosen) $("log").value = "";
  $("file").value = ""; // so that the same file can be chosen again
}

function decide(chosen) {
  decisions = chosen;
  $("decisions-name").textContent = chosen ? chosen.name : "No decisions: customers are scored";
  $("no-decisions").hidden = !chosen;
  $("decisions").value = "";
}

function typeOf(chosen) {
  const parquet = chosen?.name.toLowerCase().endsWith(".parquet");
  return parquet ? "application/vnd.apache.parquet" : "text/csv";
}

// A log alone is the body itself; with decisions both are parts of a form, whose type the browser
// writes.
function request(log) {
  if (!decisions) return { headers: { "Content-Type": typeOf(file) }, body: log };
  const body = new FormData();
  body.set("log", new Blob([log], { type: typeOf(file) }), "log");
  body.set("decisions", new Blob([decisions], { type: typeOf(decisions) }), "decisions");
  return { headers: {}, body };
}

async function score(event) {
  event.preventDefault();
  complain("");
  const log = file ?? $("log").value;
  if (!file && !log.trim()) {
    forget();
    complain("Paste a log, choose a file, or take the sample.");
    $("log").focus();
    return;
  }
  const given = new URLSearchParams();
  for (const [name, value] of new FormData($("form"))) {
    if (typeof value === "string" && value.trim()) given.set(name, value.trim());
  }
  const sent = request(log);
  $("score").disabled = true;
  $("progress").textContent = "Scoring …";
  try {
    const response = await fetch(`/score-file?${given}`, {
      method: "POST",
      headers: headers({ ...sent.headers, Accept: "application/json" }),
      body: sent.body,
    });
    if (response.ok) {
      show(parsed(await response.text()));
      return;
    }
    forget();
    await refused(response);
  } catch {
    forget();
    complain(UNREACHABLE);
  } finally {
    $("score").disabled = false;
    $("progress").textContent = "";
  }
}

// JavaScript rounds whole numbers beyond 2^53, and an id is a name. Inside of a text the quotes are
// escaped, so this finds fields alone.
function parsed(text) {
  return JSON.parse(text.replace(/"customer_id":(-?\d+)/g, '"customer_id":"$1"'));
}

// Results of one log must not stand under the problem of another.
function forget() {
  customers = [];
  $("rows").replaceChildren();
  $("results").hidden = $("skip").hidden = true;
}

function show(answer) {
  customers = answer.customers.sort((a, b) => b.probability - a.probability);
  explained = answer.reasons_from !== null;
  $("reasons-head").hidden = !explained;
  $("note").textContent = answer.reasons_note;
  shown = SHOWN;
  $("results").hidden = $("skip").hidden = false;
  draw();
  $("results-title").focus();
}

function matching() {
  const part = $("filter").value.trim().toLowerCase();
  const onlyHigh = $("only-high").checked;
  return customers.filter(
    (customer) =>
      (!onlyHigh || customer.is_high_risk) &&
      String(customer.customer_id).toLowerCase().includes(part),
  );
}

function draw() {
  const found = matching();
  $("summary").textContent = summary(found.length);
  $("download").disabled = !found.length;
  $("more").hidden = found.length <= shown;
  let most = 1; // points, at the full length of a bar
  for (const customer of customers) {
    for (const reason of customer.reasons) most = Math.max(most, reason.points);
  }
  const rows = found.slice(0, shown).map((customer) => row(customer, most));
  $("rows").replaceChildren(...(rows.length ? rows : [emptyRow()]));
}

function summary(found) {
  const high = customers.filter((customer) => customer.is_high_risk).length;
  const all = customers.length === 1 ? "1 customer" : `${customers.length} customers`;
  const parts = [`${all}, ${high} high-risk.`];
  const match = found === 1 ? "matches" : "match";
  if (found < customers.length) parts.push(`${found} ${match} the filter.`);
  if (found > shown) parts.push(`The riskiest ${shown} are shown.`);
  return parts.join(" ");
}

function element(name, text, className, role) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  if (role) made.setAttribute("role", role); // laid out as cards, a table may lose its own
  return made;
}

function cell(text, className, label) {
  const made = element("td", text, className, "cell");
  if (label) made.dataset.label = label;
  return made;
}

function emptyRow() {
  const made = element("tr", undefined, undefined, "row");
  const only = cell("No customer matches the filter.", "empty");
  only.colSpan = explained ? 5 : 4;
  made.append(only);
  return made;
}

function row(customer, most) {
  const made = element("tr", undefined, undefined, "row");
  const head = element("th", customer.customer_id, undefined, "rowheader");
  head.scope = "row";
  made.append(
    head,
    cell(Math.round(customer.score), "number score", "Score"),
    cell(`${(100 * customer.probability).toFixed(1)} %`, "number", "Probability"),
    customer.is_high_risk ? cell("High", "risk high") : cell("Low", "risk"),
  );
  if (explained) made.append(reasonsCell(customer.reasons, most));
  return made;
}

function reasonsCell(reasons, most) {
  if (!reasons.length) return cell("Nothing", "why empty");
  const made = cell(undefined, "why");
  const list = element("ul", undefined, "reasons", "list");
  for (const reason of reasons) {
    const item = element("li");
    item.title = reason.feature;
    const bar = element("span", undefined, "bar");
    bar.style.setProperty("--share", reason.points / most);
    const points = Math.round(reason.points);
    item.append(
      bar,
      element("span", points === 1 ? "1 point" : `${points} points`, "points"),
      " ",
      element("span", reason.reason),
      " ",
      element("span", reason.code, "code"),
    );
    list.append(item);
  }
  made.append(list);
  return made;
}

// A cell that begins like a formula would be run by a spreadsheet.
function quoted(value) {
  const text = String(value);
  const runs = typeof value === "string" && /^[=+\-@\t\r\n]/.test(text) && !/^-\d+$/.test(text);
  const safe = runs ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}

function download() {
  const given = matching();
  const ranks = [...Array(Math.max(0, ...given.map((c) => c.reasons.length))).keys()];
  const lines = [
    ["customer", "as_of", "probability", "score", "is_high_risk"].concat(
      ranks.map((rank) => `reason_${rank + 1}`),
      ranks.map((rank) => `code_${rank + 1}`),
    ),
  ];
  for (const c of given) {
    lines.push([
      ...[c.customer_id, c.as_of, c.probability, c.score, Number(c.is_high_risk)],
      ...ranks.map((rank) => c.reasons[rank]?.reason ?? ""),
      ...ranks.map((rank) => c.reasons[rank]?.code ?? ""),
    ]);
  }
  const text = lines.map((line) => line.map(quoted).join(",")).join("\n") + "\n";
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = "scores.csv";
  link.click();
  URL.revokeObjectURL(link.href);
}

// A file may be dropped anywhere: the browser would leave the page for it. Text goes into a field
// by itself, and into the log where it misses the field but not the box.
function drag(event) {
  const { types, files } = event.dataTransfer;
  const ofFiles = types.includes("Files");
  const over = (selector) => event.composedPath().some((node) => node.matches?.(selector));
  if (!ofFiles && over("textarea, input")) return;
  event.preventDefault();
  const wanted = ofFiles || over("#drop");
  if (event.type === "dragover") event.dataTransfer.dropEffect = wanted ? "copy" : "none";
  $("drop").classList.toggle("over", wanted && event.type === "dragover");
  if (event.type !== "drop" || !wanted) return;
  complain(files.length > 1 ? "Drop one file at a time." : "");
  if (files.length === 1) {
    choose(files[0]);
  } else if (!ofFiles) {
    choose(null);
    $("log").value = event.dataTransfer.getData("text/plain");
  }
}

async function takeSample() {
  complain("");
  try {
    const response = await fetch("/pages/sample.csv", { headers: headers({}) });
    if (!response.ok) {
      await refused(response);
      return;
    }
    const log = await response.text();
    choose(null);
    $("log").value = log;
    $("progress").textContent = "The sample is in the field above.";
  } catch {
    complain(UNREACHABLE);
  }
}

$("form").addEventListener("submit", score);
$("sample").addEventListener("click", takeSample);
$("file").addEventListener("change", () => choose($("file").files[0] ?? null));
$("decisions").addEventListener("change", () => decide($("decisions").files[0] ?? null));
$("no-decisions").addEventListener("click", () => decide(null));
$("log").addEventListener("input", () => choose(null));
$("key").addEventListener("input", takeKey);
$("filter").addEventListener("input", draw);
$("only-high").addEventListener("change", draw);
$("download").addEventListener("click", download);
$("more").addEventListener("click", () => {
  const first = shown;
  shown += SHOWN;
  draw();
  const head = $("rows").rows[first].cells[0];
  head.tabIndex = -1;
  head.focus(); // for the button may be gone
});
for (const type of ["dragover", "dragleave", "drop"]) document.addEventListener(type, drag);
showModel();
