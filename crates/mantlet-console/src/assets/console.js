// Keeps the live table moving. Everything else works without script.
"use strict";
(() => {
  const table = document.getElementById("live");
  const button = document.getElementById("pause");
  const pulse = document.getElementById("pulse");
  if (!table || !button || !pulse) return;
  const body = table.tBodies[0];
  const most = Number(table.dataset.most);
  let newest = Number(table.dataset.newest);
  let waiting = [];
  let paused = false;

  const cell = (text, kind) => {
    const td = document.createElement("td");
    if (kind) td.className = kind;
    td.textContent = text;
    return td;
  };

  const show = (line) => {
    const row = document.createElement("tr");
    const time = document.createElement("time");
    time.dateTime = line.at;
    time.title = line.at;
    time.textContent = line.time;
    const when = cell("");
    when.append(time);
    const tag = document.createElement("span");
    tag.className = "tag " + line.tone;
    tag.textContent = line.action;
    const decision = cell("");
    decision.append(tag, line.proposed ? " would " + line.proposed : "");
    row.append(when, decision, cell(line.caller), cell(line.system), cell(String(line.rows), "num"),
      cell(line.signals), cell(line.took, "num"));
    body.prepend(row);
    while (body.rows.length > most) body.deleteRow(-1);
    document.getElementById("empty")?.remove();
  };

  const say = (words) => { if (pulse.textContent !== words) pulse.textContent = words; };
  const state = () => say(paused ? "Paused." : "New requests appear by themselves.");

  const source = new EventSource("/live/events?after=" + newest);
  source.onopen = state;
  source.onerror = () => say("The connection was lost. Trying again.");
  source.onmessage = (event) => {
    const line = JSON.parse(event.data);
    if (line.number <= newest) return;
    newest = line.number;
    if (paused) waiting = [...waiting, line].slice(-most);
    else show(line);
  };

  button.hidden = false;
  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? "Go on" : "Pause";
    if (!paused) { waiting.forEach(show); waiting = []; }
    state();
  });
})();
