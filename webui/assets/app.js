// The page of a mesos-rs master or agent. It reads the public endpoints only and keeps no state of its own: each refresh
// renders from a fresh /state. Agents are asked through jsonp because they live at other addresses.
"use strict";

const REFRESH_MS = 3000;
const READ_LENGTH = 50000;
const view = document.getElementById("view");
const problem = document.getElementById("problem");
let state = null;
let drawing = 0;

function text(value) {
  return String(value ?? "").replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

function number(value) {
  return Number(value ?? 0).toLocaleString(undefined, { maximumFractionDigits: 3 });
}

function when(seconds) {
  return seconds ? new Date(seconds * 1000).toLocaleString() : "";
}

function table(headings, rows, empty) {
  if (!rows.length) return `<p class="quiet">${text(empty)}</p>`;
  const head = headings.map((h) => `<th${h.startsWith("#") ? ' class="number"' : ""}>${text(h.replace("#", ""))}</th>`);
  const body = rows.map((row) => `<tr>${row.map((cell, i) => `<td${headings[i].startsWith("#") ? ' class="number"' : ""}>${cell}</td>`).join("")}</tr>`);
  return `<table><thead><tr>${head.join("")}</tr></thead><tbody>${body.join("")}</tbody></table>`;
}

function link(hash, label) {
  return `<a href="#/${text(hash)}">${text(label)}</a>`;
}

function taskState(name) {
  const kind = name === "TASK_RUNNING" || name === "TASK_FINISHED" ? "good"
    : ["TASK_STAGING", "TASK_STARTING", "TASK_KILLING"].includes(name) ? "busy" : "bad";
  return `<span class="${kind}">${text(name)}</span>`;
}

function agents() { return state.slaves ?? []; }
function agentOf(id) { return agents().find((agent) => agent.id === id); }
function agentAddress(agent) { return agent.pid.split("@")[1]; }
function frameworks() { return [...(state.frameworks ?? []), ...(state.completed_frameworks ?? [])]; }
function tasksOf(framework) {
  return [...(framework.tasks ?? []), ...(framework.unreachable_tasks ?? []), ...(framework.completed_tasks ?? [])];
}

function taskRow(task) {
  const agent = agentOf(task.slave_id);
  const first = task.statuses?.[0]?.timestamp;
  const sandbox = agent ? link(`sandbox/${encodeURIComponent(task.slave_id)}/${encodeURIComponent(task.framework_id)}/${encodeURIComponent(task.executor_id || task.id)}`, "Sandbox") : "";
  return [text(task.id), text(task.name), taskState(task.state), text(task.role ?? ""), number(task.resources?.cpus), number(task.resources?.mem),
    agent ? link(`agents/${encodeURIComponent(task.slave_id)}`, agent.hostname) : text(task.slave_id), text(when(first)), sandbox];
}
const TASK_HEADINGS = ["Task", "Name", "State", "Role", "#CPUs", "#Memory (MB)", "Agent", "First update", ""];

function overview() {
  const sum = (field, name) => agents().reduce((total, agent) => total + (agent[field]?.[name] ?? 0), 0);
  const running = (state.frameworks ?? []).reduce((n, f) => n + (f.tasks ?? []).length, 0);
  const cards = [["Agents", agents().length], ["Frameworks", (state.frameworks ?? []).length], ["Tasks", running]]
    .map(([name, count]) => `<div class="card">${name}<b>${number(count)}</b></div>`);
  for (const [name, label] of [["cpus", "CPUs"], ["mem", "Memory (MB)"], ["disk", "Disk (MB)"], ["gpus", "GPUs"]]) {
    const total = sum("resources", name);
    if (!total) continue;
    const used = sum("used_resources", name);
    const offered = sum("offered_resources", name);
    cards.push(`<div class="card">${label}<b>${number(used)} / ${number(total)}</b><meter min="0" max="${total}" value="${used}"></meter><span class="quiet">${number(offered)} offered</span></div>`);
  }
  const recent = frameworks().flatMap(tasksOf).sort((a, b) => (b.statuses?.at(-1)?.timestamp ?? 0) - (a.statuses?.at(-1)?.timestamp ?? 0)).slice(0, 20);
  return `<h1>${text(state.cluster ?? "Cluster")}</h1><div class="cards">${cards.join("")}</div><h2>Latest tasks</h2>${table(TASK_HEADINGS, recent.map(taskRow), "No task has been launched yet.")}`;
}

function agentsPage(id) {
  if (!id) {
    const rows = agents().map((agent) => [link(`agents/${encodeURIComponent(agent.id)}`, agent.id), text(agent.hostname), agent.active ? '<span class="good">active</span>' : '<span class="bad">inactive</span>',
      `${number(agent.used_resources?.cpus)} / ${number(agent.resources?.cpus)}`, `${number(agent.used_resources?.mem)} / ${number(agent.resources?.mem)}`, text(when(agent.registered_time))]);
    return `<h1>Agents</h1>${table(["Agent", "Host", "State", "#CPUs used", "#Memory used (MB)", "Registered"], rows, "No agent has registered.")}`;
  }
  const agent = agentOf(id);
  if (!agent) return `<p class="quiet">The master knows no agent ${text(id)}.</p>`;
  const rows = frameworks().flatMap(tasksOf).filter((task) => task.slave_id === id).map(taskRow);
  const facts = [["Id", agent.id], ["Address", agent.pid], ["Version", agent.version], ["Registered", when(agent.registered_time)], ["Re-registered", when(agent.reregistered_time)],
    ["Resources", JSON.stringify(agent.resources)], ["Attributes", JSON.stringify(agent.attributes)]];
  return `<h1>Agent ${text(agent.hostname)}</h1><dl>${facts.filter(([, v]) => v).map(([k, v]) => `<dt>${k}</dt><dd>${text(v)}</dd>`).join("")}</dl><h2>Tasks</h2>${table(TASK_HEADINGS, rows, "No task on this agent.")}`;
}

function frameworksPage(id) {
  if (!id) {
    const rows = frameworks().map((f) => [link(`frameworks/${encodeURIComponent(f.id)}`, f.id), text(f.name), text(f.user), text((f.roles ?? [f.role]).join(", ")),
      f.active ? '<span class="good">active</span>' : '<span class="quiet">inactive</span>', number((f.tasks ?? []).length), number((f.completed_tasks ?? []).length), text(when(f.registered_time))]);
    return `<h1>Frameworks</h1>${table(["Framework", "Name", "User", "Roles", "State", "#Tasks", "#Completed", "Registered"], rows, "No framework has connected.")}`;
  }
  const framework = frameworks().find((f) => f.id === id);
  if (!framework) return `<p class="quiet">The master knows no framework ${text(id)}.</p>`;
  return `<h1>${text(framework.name)}</h1><p class="quiet">${text(framework.id)}</p>${table(TASK_HEADINGS, tasksOf(framework).map(taskRow), "No task.")}`;
}

function jsonp(address, path) {
  return new Promise((resolve, reject) => {
    const name = `answer${Math.random().toString(36).slice(2)}`;
    const script = document.createElement("script");
    const end = (act, value) => { clearTimeout(timer); delete window[name]; script.remove(); act(value); };
    const timer = setTimeout(() => end(reject, new Error(`no answer from ${address}`)), 10000);
    window[name] = (value) => end(resolve, value);
    script.onerror = () => end(reject, new Error(`cannot reach ${address}`));
    script.src = `${location.protocol}//${address}${path}${path.includes("?") ? "&" : "?"}jsonp=${name}`;
    document.head.append(script);
  });
}

async function sandboxPage(agentId, frameworkId, executorId, encodedPath, file) {
  const agent = agentOf(agentId);
  if (!agent) return `<p class="quiet">The master knows no agent ${text(agentId)}.</p>`;
  const address = agentAddress(agent);
  let path = encodedPath;
  if (!path) {
    const remote = await jsonp(address, "/state");
    const known = [...(remote.frameworks ?? []), ...(remote.completed_frameworks ?? [])].filter((f) => f.id === frameworkId);
    const executor = known.flatMap((f) => [...(f.executors ?? []), ...(f.completed_executors ?? [])]).find((e) => e.id === executorId);
    if (!executor) return `<p class="quiet">The agent no longer knows the executor ${text(executorId)}.</p>`;
    path = executor.directory;
  }
  const base = `sandbox/${encodeURIComponent(agentId)}/${encodeURIComponent(frameworkId)}/${encodeURIComponent(executorId)}`;
  if (file === "read") {
    const size = (await jsonp(address, `/files/read?path=${encodeURIComponent(path)}&offset=-1`)).offset;
    let offset = Math.max(0, size - READ_LENGTH);
    let data = "";
    while (offset < size) {
      const part = await jsonp(address, `/files/read?path=${encodeURIComponent(path)}&offset=${offset}&length=${size - offset}`);
      if (!part.data) break;
      data += part.data;
      offset += new TextEncoder().encode(part.data).length;
    }
    const parent = path.slice(0, path.lastIndexOf("/"));
    return `<h1>${text(path.split("/").pop())}</h1><p>${link(`${base}/${encodeURIComponent(parent)}`, "Back to the folder")} · <a href="${location.protocol}//${text(address)}/files/download?path=${encodeURIComponent(path)}">Download</a> · <span class="quiet">${number(size)} bytes</span></p><pre>${text(data)}</pre>`;
  }
  const entries = await jsonp(address, `/files/browse?path=${encodeURIComponent(path)}`);
  const rows = entries.map((entry) => {
    const folder = entry.mode.startsWith("d");
    const name = entry.path.split("/").pop();
    return [text(entry.mode), link(`${base}/${encodeURIComponent(entry.path)}${folder ? "" : "/read"}`, name + (folder ? "/" : "")), folder ? "" : number(entry.size), text(entry.uid), text(when(entry.mtime))];
  });
  return `<h1>Sandbox of ${text(executorId)}</h1><p class="quiet">${text(path)}</p>${table(["Mode", "Name", "#Bytes", "Owner", "Changed"], rows, "The folder is empty.")}`;
}

async function draw() {
  const mine = ++drawing;
  const [page, ...rest] = location.hash.replace(/^#\//, "").split("/").map(decodeURIComponent);
  for (const anchor of document.querySelectorAll("nav a")) anchor.classList.toggle("here", anchor.dataset.page === (page || "overview"));
  try {
    if (!state || page !== "sandbox") {
      const answer = await fetch("/state", { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(`/state answered ${answer.status}`);
      state = await answer.json();
      if (!state.slaves) state = ownAgent(state);
    }
    document.getElementById("cluster").textContent = `${state.pid ?? ""} · version ${state.version ?? ""}`;
    const html = page === "agents" ? agentsPage(rest[0]) : page === "frameworks" ? frameworksPage(rest[0])
      : page === "tasks" ? `<h1>Tasks</h1>${table(TASK_HEADINGS, frameworks().flatMap(tasksOf).map(taskRow), "No task has been launched yet.")}`
      : page === "sandbox" ? await sandboxPage(...rest) : overview();
    if (mine !== drawing) return;
    problem.hidden = true;
    if (view.innerHTML !== html) view.innerHTML = html;
  } catch (error) {
    if (mine !== drawing) return;
    problem.textContent = error.message;
    problem.hidden = false;
  }
}

// An agent's /state has executors instead of agents; give it the shape that the pages read.
function ownAgent(own) {
  const flatten = (framework) => ({ ...framework,
    tasks: (framework.executors ?? []).flatMap((e) => e.tasks ?? []),
    completed_tasks: [...(framework.executors ?? []), ...(framework.completed_executors ?? [])].flatMap((e) => e.completed_tasks ?? []) });
  return { ...own, slaves: [{ ...own, active: true, used_resources: {}, registered_time: own.start_time }],
    frameworks: (own.frameworks ?? []).map(flatten), completed_frameworks: (own.completed_frameworks ?? []).map(flatten) };
}

window.addEventListener("hashchange", draw);
draw();
setInterval(() => { if (!document.hidden && !location.hash.startsWith("#/sandbox")) draw(); }, REFRESH_MS);
