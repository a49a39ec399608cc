// Draws what /events tells, once a second. It asks for nothing else, sends nothing, and keeps nothing.
"use strict";

(() => {
  const STALE_MS = 5000, RETRY_MS = 3000, HISTORY_S = 120, MINUTE_S = 57, FIRST_LINES = 12;
  const WORDS = {
    ok: "All is well", attention: "Attention", broken: "Broken", waiting: "Connecting", lost: "No connection", old: "Old figures",
  };
  const MARKS = {
    ok: "M4 12.5l5.5 5.5L20 7", attention: "M12 4v10M12 19v.5", broken: "M6 6l12 12M18 6L6 18", waiting: "M5 12h.5M12 12h.5M19 12h.5",
    lost: "M4 4l16 16M5 13a10 10 0 0 1 5-2.6M9 17a4.5 4.5 0 0 1 6 0M14 10.4a10 10 0 0 1 5 2.6", old: "M12 7v5.5l3.5 2M12 3a9 9 0 1 0 .1 0",
  };
  const at = id => document.getElementById(id);
  const state = { last: null, heardAt: 0, history: [], all: false, told: "", connected: false };

  // -- words -------------------------------------------------------------------------------------------------------
  const number = (value, digits) => value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const none = value => value === null || value === undefined;
  const rate = value => none(value) ? "–" : number(value, value >= 100 || value === 0 ? 0 : value >= 10 ? 1 : 2);
  const ms = value => none(value) ? "–" : number(value, value >= 100 ? 0 : value >= 10 ? 1 : 2) + " ms";
  const micro = value => none(value) ? "–" : value < 1 ? number(value * 1000, value < .01 ? 1 : 0) + " µs" : ms(value);
  const share = (value, digits = 1) => none(value) ? "–" : number(value * 100, value === 0 || value === 1 ? 0 : digits) + " %";
  const exact = value => share(value, value >= .1 ? 0 : 2); // as the first line says it
  const amount = value => {
    if (none(value)) return "–";
    const units = value / 1e6;
    return number(units, Math.abs(units) >= 1000 || units === 0 ? 0 : 2);
  };
  const bytes = value => value >= 1e9 ? number(value / 1e9, 2) + " GB" : value >= 1e6 ? number(value / 1e6, 0) + " MB" : number(value / 1e3, 0) + " kB";
  const span = seconds => {
    if (none(seconds)) return "–";
    for (const [size, word] of [[86400, "d"], [3600, "h"], [60, "min"]]) if (seconds >= 1.5 * size) return Math.floor(seconds / size) + " " + word;
    return Math.floor(seconds) + " s";
  };
  const plain = name => name.replace(/_/g, " ");
  const time = seconds => new Date(seconds * 1000).toLocaleTimeString("en-GB");
  const sentence = text => text.charAt(0).toUpperCase() + text.slice(1);
  const signed = value => (value > 0 ? "+" : value < 0 ? "−" : "") + share(Math.abs(value), 0);

  // -- elements ----------------------------------------------------------------------------------------------------
  const make = (tag, text, name) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (name) made.className = name;
    return made;
  };
  const put = (id, text, level) => { // the level is that of the rule which the first line tells
    const place = at(id);
    if (place.textContent !== text) place.textContent = text;
    place.classList.toggle("bad", level === "broken");
    place.classList.toggle("warn", level === "attention");
  };
  const sums = (id, list, empty) => {
    const found = Object.entries(list).filter(each => each[1]), place = at(id);
    place.classList.toggle("several", found.length > 1);
    place.classList.toggle("calm", !found.length && empty.length > 12);
    place.replaceChildren(...(found.length ? found.map(([name, value]) => make("span", amount(value) + " " + name)) : [empty]));
  };
  const bar = (part, tick) => {
    const track = make("span", undefined, "bar"), fill = make("i");
    fill.style.width = Math.max(0, Math.min(1, part || 0)) * 100 + "%";
    track.append(fill);
    if (!none(tick)) {
      const mark = make("u");
      mark.style.left = Math.max(0, Math.min(1, tick)) * 100 + "%";
      track.append(mark);
    }
    return track;
  };
  const row = cells => {
    const made = make("tr");
    cells.forEach((each, index) => {
      const cell = make(index ? "td" : "th");
      if (!index) cell.scope = "row";
      cell.append(...[each].flat());
      made.append(cell);
    });
    return made;
  };
  const rows = (id, list, columns, empty) => {
    const body = at(id);
    if (list.length) return body.replaceChildren(...list);
    const cell = make("td", empty, "empty");
    cell.colSpan = columns;
    const made = make("tr");
    made.append(cell);
    body.replaceChildren(made);
  };
  const heading = (text, columns) => {
    const made = make("tr", undefined, "campaign"), cell = make("th", text);
    cell.colSpan = columns;
    cell.scope = "rowgroup";
    made.append(cell);
    return made;
  };
  const facts = (id, list) => at(id).replaceChildren(...list.map(([name, text, kind]) => {
    const made = make("div");
    made.append(make("dt", name), make("dd", text, kind));
    return made;
  }));

  // -- charts ------------------------------------------------------------------------------------------------------
  const draw = (tag, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const name in attributes) made.setAttribute(name, attributes[name]);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const nice = most => {
    const size = 10 ** Math.floor(Math.log10(most));
    return [1, 2, 2.5, 5, 10].map(step => step * size).find(step => step >= most);
  };
  const chart = (id, column, other) => {
    const place = at(id), width = place.clientWidth || 300, height = 116, left = 42, foot = 16, head = 8;
    const points = state.history, now = points.length ? points[points.length - 1][0] : 0;
    const values = points.flatMap(point => [point[column], point[other]]).filter(value => !none(value));
    const most = nice(Math.max(...values, 1e-3) * 1.05), base = height - foot;
    const x = moment => left + (width - left - 2) * (1 - (now - moment) / HISTORY_S);
    const y = value => base - (base - head) * value / most;
    const path = index => {
      let line = "", before = -Infinity;
      for (const point of points) {
        if (none(point[index])) continue;
        line += (point[0] - before > 4 ? "M" : "L") + x(point[0]).toFixed(1) + " " + y(point[index]).toFixed(1);
        before = point[0];
      }
      return line;
    };
    const lines = [];
    for (const part of [0, .5, 1]) {
      const level = y(most * part);
      lines.push(draw("path", { class: "grid", d: `M${left} ${level}H${width}` }));
      lines.push(draw("text", { x: left - 6, y: level + 4, "text-anchor": "end" }, (most * part).toLocaleString("en", { maximumFractionDigits: 2, notation: most >= 10000 ? "compact" : "standard" })));
    }
    lines.push(draw("text", { x: left, y: height - 2 }, "2 min ago"), draw("text", { x: width - 2, y: height - 2, "text-anchor": "end" }, "now"));
    const first = path(column);
    const begin = points.find(point => !none(point[column]));
    if (begin && (first.match(/M/g) || []).length === 1) {
      const last = points.filter(point => !none(point[column])).pop();
      lines.push(draw("path", { class: "area", d: `${first}L${x(last[0])} ${base}L${x(begin[0])} ${base}Z` }));
    }
    lines.push(draw("path", { class: "a", d: first }), draw("path", { class: "b", d: path(other) }));
    place.setAttribute("viewBox", `0 0 ${width} ${height}`);
    place.replaceChildren(...lines);
  };

  // -- the four groups ---------------------------------------------------------------------------------------------
  const ranked = (id, list, empty) => {
    const most = Math.max(...list.map(each => each[1]), 1e-9);
    rows(id, list.map(([name, value]) => row([sentence(plain(name)), bar(value / most), rate(value) + "/s"])), 3, empty);
  };
  const traffic = told => {
    const now = told.traffic;
    put("requests", rate(now.requests));
    put("bids", rate(now.bids));
    put("impressions", rate(now.impressions));
    put("bad", exact(now.bad_share), now.bad_share > .144 ? "broken" : now.bad_share > .01 ? "attention" : "");
    rows("exchanges", now.exchanges.map(each => row([
      each.name, rate(each.requests), rate(each.bids), each.requests ? rate(each.bids / each.requests) : "–", rate(each.late),
    ])), 5, "No exchange has called yet.");
    ranked("outcomes", told.reasons.outcomes, "No requests.");
    ranked("drops", told.reasons.drops, "None dropped out.");
    ranked("losses", told.reasons.losses, "No loss was told.");
    chart("traffic-chart", 1, 2);
  };
  const latency = told => {
    const now = told.latency;
    for (const [id, value] of [["p50", now.p50_ms], ["p90", now.p90_ms], ["p99", now.p99_ms], ["p999", now.p999_ms]]) put(id, ms(value));
    const whole = now.stages.reduce((sum, each) => sum + (each.mean_ms || 0), 0);
    rows("stages", now.stages.filter(each => !none(each.mean_ms)).map(each => row([
      sentence(each.name), bar(each.mean_ms / whole), micro(each.mean_ms), micro(each.p99_ms),
    ])), 4, "No request was decided in the last seconds.");
    chart("latency-chart", 4, 3);
  };
  const money = told => {
    const now = told.money;
    sums("spend", now.spend, "–");
    put("within", share(now.within_share, 0));
    put("overspent", now.overspent > 0 ? amount(now.overspent) : "nothing", now.overspent > 0 ? "broken" : "");
    sums("stranded", now.stranded, "nothing");
    if (Object.values(now.stranded).some(each => each)) at("stranded").append(make("small", "held for late notices, comes home by itself"));
    const groups = new Map(); // by campaign; who spent most is first
    for (const each of now.lines) groups.set(each.campaign, [...groups.get(each.campaign) || [], each]);
    const ordered = [...groups.values()].flat(), lines = state.all ? ordered : ordered.slice(0, FIRST_LINES);
    rows("lines", lines.flatMap((each, index) => {
      const made = row([
        each.line_item,
        each.budget ? bar(each.used / each.budget, none(each.planned) ? null : each.planned / each.budget) : "no budget",
        amount(none(each.used) ? each.spent : each.used), amount(each.planned), amount(each.budget), amount(each.reserved), amount(each.rate),
        signed(each.pace_error), share(each.multiplier, 0),
      ]);
      return index && lines[index - 1].campaign === each.campaign ? [made] : [heading(each.campaign, 9), made];
    }), 9, "No line item has an account yet.");
    const more = at("more"), rest = now.lines.length - FIRST_LINES;
    more.hidden = rest <= 0;
    const words = state.all ? "Show fewer line items" : `Show ${rest} more line items`;
    if (more.textContent !== words) more.textContent = words;
    rows("wallets", now.wallets.map(each => row([
      each.advertiser, amount(each.funded), amount(each.spent), amount(each.leased), amount(each.available),
    ])), 5, "No advertiser has money yet.");
  };
  const health = told => {
    const stores = told.stores, campaigns = told.campaigns, workers = told.workers, people = told.people;
    put("up", `${workers.up} of ${workers.configured}`, workers.up >= workers.configured ? "" : workers.up ? "attention" : "broken");
    put("store-state", ["answers", "silent", "on trial"][stores.breaker], stores.breaker > 0 ? "attention" : "");
    put("ledger-state", stores.ledger_up ? "answers" : "silent", stores.ledger_up ? "" : "broken");
    put("files-state", campaigns.reload_failed ? "bad" : "good", campaigns.reload_failed ? "attention" : "");
    facts("people-store", [
      ["Reads", rate(stores.reads) + "/s"], ["Failed or late", exact(stores.failed_share), stores.failed_share > .05 ? "warn" : ""],
      ["Known people", share(stores.found_share)], ["Read, median", ms(stores.read_p50_ms)], ["Read, 99 %", ms(stores.read_p99_ms)],
    ]);
    facts("ledger", [
      ["Notice to charge, 99 %", ms(stores.lag_p99_ms)],
      ["Notices on disk", bytes(stores.spool_bytes)], ["Journal archived", none(stores.journal_age_s) ? "–" : span(stores.journal_age_s) + " ago"],
      ["Pace computed", span(told.money.pace_age_s) + " ago"],
    ]);
    facts("campaigns", [
      ["Line items", number(campaigns.line_items, 0)], ["Loaded", none(campaigns.loaded_age_s) ? "–" : span(campaigns.loaded_age_s) + " ago"],
      ["Oldest catalogue", span(campaigns.catalogue_age_s)], ["Exchange rates", span(campaigns.rates_age_s)],
    ]);
    facts("consent", [
      ...["personal", "contextual", "opted_out"].map(name => [sentence(plain(name)), share((people.consent.find(each => each[0] === name) || [])[1])]),
      ...(people.invalid.length ? people.invalid : [["marked", null]]).map(([name, value]) => ["Invalid traffic, " + plain(name), share(value, 2)]),
    ]);
    const died = workers.restarts === 1 ? "once" : number(workers.restarts, 0) + " times";
    put("workers-c", workers.restarts ? `Processes; workers died ${died} since the start` : "Processes; no worker died since the start");
    rows("processes", workers.processes.map(each => row([sentence(plain(each.name)), bytes(each.resident_bytes), share(each.cpu, 0)])), 3, "This system does not tell.");
  };

  // -- the first line ----------------------------------------------------------------------------------------------
  const status = (level, summary, rule = "") => {
    const told = level + summary;
    if (told === state.told) return; // read aloud only where it changes
    state.told = told;
    document.body.dataset.level = level;
    put("level", WORDS[level]);
    at("mark").setAttribute("d", MARKS[level]);
    put("summary", summary);
    put("rule", rule);
    document.title = WORDS[level] + " – Paceline";
  };
  const judge = told => {
    const found = told.findings;
    const first = told.level === "ok" ? null : found[0], rest = first ? found.slice(1) : found;
    if (first) status(told.level, sentence(first.text) + (rest.length ? ` (${rest.length} more below).` : "."), `What to do: RUNBOOKS, ${first.rule}`);
    else status("ok", `${told.workers.up} of ${told.workers.configured} workers ready, stores answer, answers are in time.`);
    const list = at("findings"), key = JSON.stringify(rest);
    if (list.dataset.key === key) return;
    list.dataset.key = key;
    list.replaceChildren(...rest.map(each => {
      const made = make("li", undefined, each.level);
      made.append(make("b", sentence(each.text)), make("span", `RUNBOOKS, ${each.rule}`));
      return made;
    }));
  };
  const stale = () => {
    const old = state.heardAt && Date.now() - state.heardAt > STALE_MS;
    at("again").hidden = state.connected && !old;
    if (state.connected && !old) return;
    const since = state.last ? `, figures are of ${time(state.last.at_s)}` : "";
    if (!state.connected) status("lost", `The service cannot be seen from here${since}. Trying again.`);
    else status("old", `The service sends nothing new${since}.`);
  };
  const render = () => {
    const told = state.last;
    if (!told || document.hidden) return;
    judge(told);
    const lately = told.minute_s > MINUTE_S ? "last minute" : `since ${time(told.at_s - told.minute_s)}`; // it remembers what somebody watched
    for (const each of document.getElementsByClassName("lately")) if (each.textContent !== lately) each.textContent = lately;
    traffic(told);
    latency(told);
    money(told);
    health(told);
    put("version", "version " + told.version + ",");
    put("clock", time(told.at_s));
  };

  // -- the feed ----------------------------------------------------------------------------------------------------
  const connect = () => {
    const source = new EventSource("/events");
    source.addEventListener("open", () => { state.connected = true; });
    source.addEventListener("history", event => { state.history = JSON.parse(event.data); });
    source.addEventListener("message", event => {
      state.last = JSON.parse(event.data);
      state.heardAt = Date.now();
      state.connected = true;
      const before = state.history[state.history.length - 1];
      if (before && before[0] > state.last.at_s + 5) state.history = []; // its clock was set back
      if (!before || state.last.point[0] > before[0]) state.history.push(state.last.point);
      while (state.history.length && state.history[0][0] < state.last.at_s - HISTORY_S) state.history.shift();
      stale();
      render();
    });
    source.addEventListener("error", () => {
      state.connected = false;
      stale();
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, RETRY_MS);
    });
  };
  at("more").addEventListener("click", () => {
    state.all = !state.all;
    at("more").setAttribute("aria-expanded", String(state.all));
    render();
  });
  document.addEventListener("visibilitychange", render);
  addEventListener("resize", render);
  setInterval(stale, 1000);
  state.connected = true;
  status("waiting", "Waiting for the first figures.");
  connect();
})();
