"use strict";

// The theme first, before anything is drawn.
const asked = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;
let theme = null;
try { theme = localStorage.getItem("hw2-theme"); } catch (error) { /* there may be no store */ }
root.dataset.theme = theme || (asked.matches ? "dark" : "light");
asked.addEventListener("change", () => { if (!theme) root.dataset.theme = asked.matches ? "dark" : "light"; });

addEventListener("DOMContentLoaded", async () => {
  const $ = (id) => document.getElementById(id);
  const make = (tag, text = "", classes = "") => {
    const element = document.createElement(tag);
    element.textContent = text;
    if (classes) element.className = classes;
    return element;
  };

  const label = () => { $("theme").textContent = root.dataset.theme === "dark" ? "Light theme" : "Dark theme"; };
  $("theme").addEventListener("click", () => {
    theme = root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("hw2-theme", theme); } catch (error) { /* as above */ }
    label();
  });
  label();

  // Talking with the server: an error is shown, and the newest question of a kind is the one that counts.
  const trouble = (words) => { $("trouble").textContent = words || ""; $("trouble").hidden = !words; };
  const ask = async (path, options) => {
    let response;
    try { response = await fetch(path, options); } catch (error) { throw new Error("the server does not answer - is hw2 serve still running?"); }
    const found = await response.json();
    if (!response.ok) throw new Error(found.error);
    return found;
  };
  const newest = {};
  const only = (kind, work) => async (...inputs) => {
    const mine = newest[kind] = (newest[kind] || 0) + 1;
    try { await work(() => mine !== newest[kind], ...inputs); } catch (error) { if (mine === newest[kind]) trouble(error.message); }
  };

  const number = (value, digits = 4) => {
    if (value === null) return "not finite";
    const text = value === 0 ? "0" : Math.abs(value) >= 1e-4 && Math.abs(value) < 1e6 ? String(Number(value.toPrecision(digits))) : value.toExponential(digits - 1);
    return text.replace("-", "\u2212");
  };
  const signed = (value) => (value < 0 ? "\u2212 " : "+ ") + number(Math.abs(value));
  const percent = (value) => `${(100 * value).toFixed(1)}\u00a0%`;
  const many = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;

  let model = null;  // what GET /layers says
  const at = { picture: null, layer: null, channel: 0, row: 0, column: 0, most: 8 };
  const here = () => `/pictures/${at.picture}/layers/${at.layer}/channels/${at.channel}`;
  const titleOf = (layer) => layer.name.startsWith(layer.kind) || layer.number === 0 ? layer.name : `${layer.name}, ${layer.kind}`;

  // A picture: dropped, pasted, chosen or photographed.
  const predict = only("picture", async (stale, file) => {
    trouble("");
    $("verdict").textContent = "Looking at the picture ...";
    $("answer").hidden = false;
    $("answer").setAttribute("aria-busy", "true");
    let found;
    try {
      found = await ask("/predict", { method: "POST", body: file, headers: { "Content-Type": file.type || "application/octet-stream" } });
    } catch (error) {
      if (!stale()) { $("answer").hidden = $("walk").hidden = true; }
      throw error;
    }
    if (stale()) return;
    at.picture = found.picture;
    showAnswer(found);
    const look = await ask(`/pictures/${found.picture}`);
    if (stale()) return;
    $("seen").src = look.seen;
    $("heat-figure").hidden = !look.heat;
    if (look.heat) {
      $("heat").src = look.heat;
      $("heat").alt = `Grad-CAM for ${look.class}`;
      $("heat-text").textContent = `Grad-CAM: red is what speaks for ${look.class}`;
    }
    $("answer").removeAttribute("aria-busy");
    $("walk").hidden = false;
    await showLayer(at.layer ?? Math.min(1, model.layers.length - 1), at.layer === null ? {} : at);
  });

  const showAnswer = (found) => {
    const [best] = found.guesses;
    const verdict = $("verdict");
    verdict.replaceChildren();
    const present = found.guesses.filter((guess) => guess.present).map((guess) => guess.class);
    if (best.present !== undefined) verdict.append(make("b", present.join(", ") || "No class"), " above the threshold");
    else if (found.rejected && found.distance !== undefined) verdict.append(make("b", "None of these"), ` - its features are ${found.distance.toPrecision(3)} away from the nearest class, more than ${found.reject_above.toPrecision(3)}`);
    else if (found.rejected) verdict.append(make("b", "None of these"), ` - the likeliest class, ${best.class}, has only ${percent(best.probability)}`);
    else verdict.append(make("b", best.class), `, with a probability of ${percent(best.probability)}`);
    $("guesses").replaceChildren(...found.guesses.map((guess) => {
      const row = make("tr"), bar = make("span", "", "bar"), cell = make("td");
      bar.style.setProperty("--p", 100 * guess.probability);
      cell.append(bar);
      row.append(make("td", guess.class), cell, make("td", percent(guess.probability)));
      return row;
    }));
  };

  const take = (files, words) => {
    const file = [...files].find((one) => one.type.startsWith("image/")) || files[0];
    if (file) predict(file); else trouble(words);
  };
  for (const id of ["file", "capture"]) {
    $(id).addEventListener("change", (event) => { take(event.target.files, "no file was chosen"); event.target.value = ""; });
  }
  addEventListener("paste", (event) => {
    if (event.clipboardData) take(event.clipboardData.files, "there is no picture to paste - copy a picture, and not its address");
  });
  addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("over"); });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("over"); });
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("over");
    take(event.dataTransfer.files, "that was not a file - save the picture first, and drop the file");
  });

  // The camera: in this page where the browser allows it, else that of the phone.
  const off = () => {
    for (const track of $("video").srcObject?.getTracks() || []) track.stop();
    $("video").srcObject = null;
  };
  $("photograph").addEventListener("click", async () => {
    if (!navigator.mediaDevices?.getUserMedia) { $("capture").click(); return; }
    trouble("");
    try {
      $("video").srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      $("camera").showModal();
    } catch (error) { trouble(`no photograph - ${error.message.toLowerCase()}; choose a picture instead`); }
  });
  $("camera").addEventListener("close", off);
  $("cancel").addEventListener("click", () => $("camera").close());
  $("shoot").addEventListener("click", () => {
    const shot = document.createElement("canvas");
    shot.width = $("video").videoWidth;
    shot.height = $("video").videoHeight;
    if (!shot.width) return;  // it has not begun yet
    shot.getContext("2d").drawImage($("video"), 0, 0);
    shot.toBlob((blob) => { $("camera").close(); predict(blob); }, "image/png");
  });

  // A layer: the list, and its channels.
  const fillLayers = () => {
    let group = null;
    for (const layer of model.layers) {
      if (layer.stage && group?.label !== layer.stage) {
        group = make("optgroup");
        group.label = layer.stage;
        $("layers").append(group);
      }
      const own = layer.name.startsWith(`${layer.stage}/`) ? `${layer.name.slice(layer.stage.length + 1)}, ` : "";
      const size = layer.height * layer.width === 1 ? layer.channels : `${layer.height}\u00d7${layer.width}\u00d7${layer.channels}`;
      const kernel = layer.kernel && Math.max(...layer.kernel) > 0 ? ` ${layer.kernel.join("\u00d7")}` : "";
      const option = make("option", `${own}${layer.number ? layer.kind : layer.name}${kernel}: ${size}`);
      option.value = layer.number;
      (layer.stage ? group : $("layers")).append(option);
    }
  };
  $("layers").addEventListener("change", () => showLayer(Number($("layers").value)));

  const showLayer = only("layer", async (stale, index, wanted = {}) => {
    trouble("");
    const layer = model.layers[index];
    const same = at.layer === index;
    const channel = wanted.channel ?? (same ? at.channel : null);
    const first = channel === null ? 0 : Math.floor(channel / 64) * 64;
    const sheet = await ask(`/pictures/${at.picture}/layers/${index}?first=${first}`);
    if (stale()) return;
    at.layer = index;
    $("layers").value = index;
    $("channels").replaceChildren();
    addChannels(layer, sheet);
    const widest = sheet.high.map((high, n) => high - sheet.low[n]);
    await showChannel(channel ?? widest.indexOf(Math.max(...widest)), wanted);
  });

  const addChannels = (layer, sheet) => {
    const rows = Math.ceil(sheet.low.length / sheet.columns);
    const vector = layer.height * layer.width === 1;
    sheet.low.forEach((low, index) => {
      const channel = sheet.first + index;
      const tile = make("span", "", "tile"), button = make("button", "", "channel");
      tile.style.backgroundImage = `url(${sheet.sheet})`;
      tile.style.backgroundSize = `${100 * sheet.columns}% ${100 * rows}%`;
      const part = (n, of) => `${of > 1 ? (100 * n) / (of - 1) : 0}%`;
      tile.style.backgroundPosition = `${part(index % sheet.columns, sheet.columns)} ${part(Math.floor(index / sheet.columns), rows)}`;
      tile.style.aspectRatio = `${layer.width} / ${layer.height}`;
      const words = vector ? number(low, 3) : `${number(low, 3)} to ${number(sheet.high[index], 3)}`;
      button.append(tile, vector && layer.number === model.layers.length - 1 ? model.classes[channel] : channel);
      button.type = "button";
      button.title = button.ariaLabel = `channel ${channel}: ${words}`;
      button.dataset.channel = channel;
      button.setAttribute("role", "option");
      button.tabIndex = -1;
      button.addEventListener("click", () => showChannel(channel));
      $("channels").append(button);
    });
    const end = sheet.first + sheet.low.length;
    $("more").hidden = end >= layer.channels;
    $("more").dataset.first = end;
    const from = Number($("channels").firstChild.dataset.channel);
    $("channels-title").textContent = `${titleOf(layer)}: ${many(layer.channels, vector ? "value" : "channel")}${from || end < layer.channels ? `, ${from} to ${end - 1} are shown` : ""}`;
  };
  $("more").addEventListener("click", only("more", async (stale) => {
    const index = at.layer, first = Number($("more").dataset.first);
    const sheet = await ask(`/pictures/${at.picture}/layers/${index}?first=${first}`);
    if (stale() || index !== at.layer) return;
    addChannels(model.layers[index], sheet);
    $("channels").querySelector(`[data-channel="${first}"]`).focus();
  }));
  $("channels").addEventListener("keydown", (event) => {
    const buttons = [...$("channels").children];
    const now = buttons.indexOf(document.activeElement);
    const columns = getComputedStyle($("channels")).gridTemplateColumns.split(" ").length;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -now, End: buttons.length - 1 - now }[event.key];
    if (step === undefined || now < 0) return;
    event.preventDefault();
    const next = buttons[now + step];
    if (next) { next.focus(); showChannel(Number(next.dataset.channel)); }
  });

  // A channel: its map, and a pixel of it.
  let map = null;
  const showChannel = only("channel", async (stale, channel, wanted = {}) => {
    at.channel = channel;
    for (const button of $("channels").children) {
      const chosen = Number(button.dataset.channel) === channel;
      button.setAttribute("aria-selected", chosen);
      button.tabIndex = chosen ? 0 : -1;
      if (chosen) {
        const box = $("channels");
        if (button.offsetTop < box.scrollTop + box.offsetTop || button.offsetTop + button.offsetHeight > box.scrollTop + box.offsetTop + box.clientHeight) box.scrollTop = button.offsetTop - box.offsetTop - 8;
      }
    }
    const found = await ask(here());
    if (stale()) return;
    const kept = map && map.length === found.values.length && map[0].length === found.values[0].length;
    map = found.values;
    if (wanted.row !== undefined) { at.row = wanted.row; at.column = wanted.column; }
    else if (!kept) [at.row, at.column] = largest(map);
    at.most = 8;
    await showPixel();
  });
  const largest = (values) => {
    let place = [0, 0];
    values.forEach((row, i) => row.forEach((value, j) => { if (value > values[place[0]][place[1]]) place = [i, j]; }));
    return place;
  };

  // Draws a map in grey, and frames a window of it.
  const draw = (canvas, values, rows, columns) => {
    const height = values.length, width = values[0].length;
    const flat = values.flat(), low = Math.min(...flat.filter(Number.isFinite)), high = Math.max(...flat.filter(Number.isFinite));
    const scale = Math.max(1, Math.floor(448 / Math.max(height, width)));
    canvas.width = width * scale;
    canvas.height = height * scale;
    const pen = canvas.getContext("2d");
    values.forEach((row, i) => row.forEach((value, j) => {
      const grey = height * width === 1 ? 128 : Math.round(255 * ((value - low) / (high - low || 1)));
      pen.fillStyle = `rgb(${grey} ${grey} ${grey})`;
      pen.fillRect(j * scale, i * scale, scale, scale);
    }));
    const line = Math.max(2, canvas.width / 150);
    const [top, bottom] = [Math.min(...rows), Math.max(...rows) + 1], [left, right] = [Math.min(...columns), Math.max(...columns) + 1];
    const inset = scale >= 6 ? line / 2 : -line / 2;
    const box = [left * scale + inset, top * scale + inset, (right - left) * scale - 2 * inset, (bottom - top) * scale - 2 * inset];
    pen.lineWidth = line + 2;
    pen.strokeStyle = "#000";
    pen.strokeRect(...box);
    pen.lineWidth = line;
    pen.strokeStyle = "#ff8c1a";
    pen.strokeRect(...box);
    return [low, high];
  };

  const showPixel = only("pixel", async (stale) => {
    const layer = model.layers[at.layer];
    const words = `${layer.kind === "picture" ? "channel" : `${titleOf(layer)}, channel`} ${at.channel}`;
    const [low, high] = draw($("map"), map, [at.row], [at.column]);
    const single = map.length * map[0].length === 1;
    $("map-text").textContent = single ? words : `${words}, ${map.length}\u00d7${map[0].length} pixels, ${number(low, 3)} (black) to ${number(high, 3)} (white). Click one, or use the arrow keys.`;
    $("map").ariaLabel = `Map of ${words}`;
    $("pixel-title").textContent = single ? `One value of ${titleOf(layer)}` : `One pixel of ${titleOf(layer)}`;
    const found = await ask(`${here()}/pixels/${at.row}/${at.column}?most=${at.most}`);
    if (stale()) return;
    const place = single ? `Channel ${at.channel}` : `Row ${at.row}, column ${at.column} of channel ${at.channel}`;
    $("pixel").replaceChildren(`${place}: `, make("b", number(found.value, 7)));
    $("sum").replaceChildren(...explained(layer, found), ...found.then.flatMap((next) => [make("h3", `Then the ${next.kind}`), ...explained(model.layers[next.layer], next)]));
    await showInput(stale, layer, found);
  });

  // The window, in the map that the layer reads.
  const showInput = async (stale, layer, found) => {
    const [term] = found.terms;
    const source = term?.from && model.layers[term.from.layer];
    const seen = source && source.height * source.width > 1;
    $("input-figure").hidden = !seen;
    if (!seen) return;
    const input = await ask(`/pictures/${at.picture}/layers/${source.number}/channels/${term.from.channel}`);
    if (stale()) return;
    const rows = found.rows.filter((row) => row !== null), columns = found.columns.filter((column) => column !== null);
    draw($("input"), input.values, rows, columns);
    const what = rows.length * columns.length > 1 ? "The window" : "Its pixel";
    $("input-text").textContent = `${what} in channel ${term.from.channel} of ${titleOf(source)}, which it comes from${found.terms.length > 1 && layer.kernel ? "; this channel adds the most, up or down" : ""}.`;
    $("input").ariaLabel = $("input-text").textContent;
  };

  // The sum, written out.
  const grid = (values, found, named) => {
    const table = make("table", "", "window"), most = Math.max(...values.flat().map(Math.abs)) || 1;
    if (values[0].length > 7) table.classList.add("large"); else if (values[0].length > 3) table.classList.add("middle");
    table.ariaLabel = named;
    values.forEach((line, i) => {
      const row = table.insertRow();
      line.forEach((value, j) => {
        const cell = row.insertCell(), outside = found && (found.rows[i] === null || found.columns[j] === null);
        cell.textContent = number(value, values[0].length > 3 ? 2 : 3);
        cell.title = outside ? "padding" : number(value, 7);
        cell.className = outside ? "outside" : "";
        cell.style.setProperty("--tone", value < 0 ? "var(--s2)" : "var(--s1)");
        cell.style.setProperty("--p", (55 * Math.abs(value)) / most);
      });
    });
    const scroll = make("div", "", "scroll");
    scroll.append(table);
    return scroll;
  };
  const sourceOf = (term, found) => {
    const source = term.from && model.layers[term.from.layer];
    if (!source) return make("span", `channel ${term.channel} of its input`);
    const words = `channel ${term.from.channel} of ${titleOf(source)}`;
    const link = make("button", words, "link");
    link.type = "button";
    link.title = "go there";
    const middle = (places) => { const inside = places.filter((place) => place !== null); return inside[Math.floor(inside.length / 2)]; };
    const row = source.height > 1 ? middle(term.rows || found.rows) : 0, column = source.width > 1 ? middle(term.columns || found.columns) : 0;
    link.addEventListener("click", () => {
      showLayer(source.number, { channel: term.from.channel, row, column });
      $("layers").focus({ preventScroll: true });
      $("walk").scrollIntoView();
    });
    return link;
  };
  const card = (term, found, ...parts) => {
    const box = make("div", "", "term"), product = make("div", "", "product");
    product.append(...parts);
    box.append(sourceOf(term, found), product);
    return box;
  };
  const total = (lines) => {
    const table = make("table");
    for (const [words, value, last] of lines) {
      const row = table.insertRow();
      if (last) row.className = "total";
      row.append(make("td", words), make("td", value));
    }
    return table;
  };

  const explained = (layer, found) => {
    const terms = make("div", "", "terms");
    if (layer.kind === "picture") return [make("p", "This is the picture itself, standardized as the model was trained: nothing computes it.")];
    const inputs = found.terms.map((term) => term.inputs[0][0]);
    const [x] = inputs;
    if (found.terms[0]?.weights) return weighted(layer, found, terms);
    if (layer.kind === "max pool" || layer.kind === "average pool" || layer.kind === "mean over positions") {
      const [term] = found.terms, count = term.inputs.flat().length;
      const what = layer.kind === "max pool" ? `The largest of ${many(count, "value")}` : `The mean of ${many(count, "value")}`;
      terms.append(card(term, found, ...(count <= 121 ? [grid(term.inputs, found, "window")] : []), make("span", `${layer.kind === "max pool" ? "the largest is" : "the mean is"} ${number(found.sum)}`)));
      return [make("p", `${what} of one channel. ${layer.kind === "max pool" ? "Padding never wins." : "Padding does not count."}`), terms];
    }
    if (found.norm) {
      const n = found.norm;
      terms.append(card(found.terms[0], found, make("span", `${number(x)} \u00d7 ${number(n.factor)} ${signed(n.shift)} = ${number(found.sum)}`)));
      return [make("p", "The moving mean and variance of training make it about 0 and 1; then the scale and the offset that were learned. Together that is a factor and a shift."), terms, total([
        [`factor = scale ${number(n.scale)} / \u221a(variance ${number(n.variance)} + ${number(n.epsilon)})`, number(n.factor)],
        [`shift = offset ${number(n.offset)} \u2212 mean ${number(n.mean)} \u00d7 factor`, number(n.shift)],
      ])];
    }
    const words = {
      "ReLU": () => `max(0, ${number(x)})`,
      "ReLU6": () => `min(max(0, ${number(x)}), 6)`,
      "sum": () => inputs.map((value) => number(value)).join(" + "),
      "product": () => inputs.map((value) => number(value)).join(" \u00d7 "),
      "concatenation": () => "the same value",
      "flatten": () => "the same value",
    }[layer.kind] || (() => `${layer.kind}(${number(x)})`);
    found.terms.forEach((term) => terms.append(card(term, found, make("span", number(term.inputs[0][0])))));
    return [make("p", `${words()} = ${number(found.sum)}`), terms];
  };

  const weighted = (layer, found, terms) => {
    const [high, wide] = [found.rows.length, found.columns.length], shown = found.terms.length, all = shown + found.rest.channels;
    const dense = layer.kind === "dense";
    const intro = dense
      ? `${many(all, "input")}, each times its weight${found.bias === null ? "" : ", and a bias"}. Those that add the most, up or down:`
      : `A window of ${high}\u00d7${wide} pixels of ${many(all, "channel")}: ${many(high * wide * all, "product")}${found.bias === null ? ", no bias" : " and a bias"}. ${found.rest.channels ? "The channels that add the most, up or down:" : "Each number times its weight:"}`;
    found.terms.forEach((term) => {
      terms.append(card(term, found,
        grid(term.inputs, found, "window"), make("span", "\u00d7"), grid(term.weights, null, "weights"), make("span", `= ${number(term.sum)}`)));
    });
    const lines = found.terms.map((term) => [dense ? `input ${term.channel}` : `channel ${term.channel}`, number(term.sum)]);
    if (found.rest.channels) lines.push([`the other ${found.rest.channels.toLocaleString("en")}`, number(found.rest.sum)]);
    if (found.bias !== null) lines.push(["bias", number(found.bias)]);
    lines.push(["sum, in double precision", number(found.sum, 9), true], ["value that the network computed", number(found.value, 9)]);
    const parts = [make("p", intro), terms];
    if (found.rest.channels) {
      const more = make("button", "Write out more of them");
      more.type = "button";
      more.addEventListener("click", () => { at.most = Math.min(4 * at.most, all); showPixel(); });
      const buttons = make("p", "", "buttons");
      buttons.append(more);
      parts.push(buttons);
    }
    return [...parts, total(lines)];
  };

  $("map").addEventListener("click", (event) => {
    const box = $("map").getBoundingClientRect(), [height, width] = [map.length, map[0].length];
    const scale = Math.min(box.width / width, box.height / height);  // the map is in the middle of its box
    const column = Math.floor((event.clientX - box.left - (box.width - width * scale) / 2) / scale);
    const row = Math.floor((event.clientY - box.top - (box.height - height * scale) / 2) / scale);
    move(row, column);
  });
  const move = (row, column) => {
    at.row = Math.max(0, Math.min(map.length - 1, row));
    at.column = Math.max(0, Math.min(map[0].length - 1, column));
    showPixel();
  };
  $("map").addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    move(at.row + step[0], at.column + step[1]);
  });

  try {
    model = await ask("/layers");
    $("title").textContent = `Try ${model.model}`;
    const { height, width, channels } = model.picture;
    $("about").textContent = `Step ${model.step.toLocaleString("en")}, ${many(model.classes.length, "class").replace("classs", "classes")}; it sees pictures of ${height}\u00d7${width} pixels, ${channels === 1 ? "grey" : "in colour"}.`;
    document.title = `Try ${model.model} - hw2`;
    fillLayers();
    root.dataset.ready = "true";
  } catch (error) { trouble(error.message); }
});
