"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const study = JSON.parse($("study").textContent);
  const pairs = Object.fromEntries(study.pairs.map((pair) => [pair.id, pair]));
  const asked = study.questions.map((question) => question.id);
  const rows = [...document.querySelectorAll(".question")];
  const videos = ["left", "right"].map((side) => $(side).querySelector("video"));
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  // What is kept: one entry for each rater, and the code of the last one.

  const shelf = `lga-study/${study.id}/`;
  let keeps = true;

  function keep(name, value) {
    try {
      localStorage.setItem(shelf + name, value);
    } catch {
      keeps = false;
    }
  }

  function kept(name) {
    try {
      return localStorage.getItem(shelf + name);
    } catch {
      keeps = false;
      return null;
    }
  }

  function forget(code) {
    try {
      localStorage.removeItem(shelf + "rater/" + code);
      localStorage.removeItem(shelf + "last");
    } catch {
      keeps = false;
    }
  }

  // The order of pairs and their sides: drawn from the rater's code, so that it is the same after a reload.

  function numbers(text) {
    let state = 2166136261; // FNV-1a
    for (const letter of text) state = Math.imul(state ^ letter.codePointAt(0), 16777619);
    return () => { // mulberry32
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
  }

  function shuffled(list, random) {
    const left = [...list];
    for (let last = left.length - 1; last > 0; last--) {
      const other = Math.floor(random() * (last + 1));
      [left[last], left[other]] = [left[other], left[last]];
    }
    return left;
  }

  // One rater's pairs: all, or a stretch. A number at the end of the code says which, so that R1, R2, ... share them out.
  function stretch(code, random) {
    const all = study.pairs.map((pair) => pair.id);
    if (study.each >= all.length) return all;
    const number = /\d{1,6}$/.exec(code);
    const start = number ? (Number(number[0]) + all.length - 1) * study.each : Math.floor(random() * all.length);
    return Array.from({ length: study.each }, (_, index) => all[(start + index) % all.length]);
  }

  function drawn(code) {
    const random = numbers(`${study.id}/${code}`);
    return shuffled(stretch(code, random), random).map((pair) => ({ pair, left: random() < 0.5 ? "x" : "y" }));
  }

  // A rater

  let rater = null; // {code, at, answers: {pair: {question: side}}, seconds: {pair: number}, started, finished}
  let order = [];
  let active = 0; // the question that keys answer
  let since = 0;

  const codeOf = (text) => text.trim().toUpperCase();
  const here = () => order[rater.at];
  const given = () => (rater.answers[here().pair] ||= {});
  const isWhole = (answers) => asked.every((question) => answers?.[question]);

  function known(code) {
    try {
      const found = JSON.parse(kept("rater/" + code));
      return found?.code === code ? found : null;
    } catch {
      return null;
    }
  }

  function remember() {
    keep("rater/" + rater.code, JSON.stringify(rater));
    keep("last", rater.code);
  }

  function takeTime() {
    const pair = here()?.pair;
    if (pair && since) rater.seconds[pair] = (rater.seconds[pair] || 0) + (performance.now() - since) / 1000;
    since = performance.now();
  }

  function file() {
    const answers = order.map(({ pair, left }) => ({
      pair, left, ...rater.answers[pair], seconds: Math.round(10 * (rater.seconds[pair] || 0)) / 10,
    }));
    const { code, started, finished } = rater;
    const head = { format: "lga-study-answers", version: 1, study: study.id, rater: code, started, finished };
    return JSON.stringify({ ...head, answers }, null, 1) + "\n";
  }

  // Playing: both clips start together; the shorter waits on its last frame.

  let links = [];
  let playing = true;
  let fresh = false; // a pair that has not begun to play
  let waiting = 0;

  function source(clip) {
    if (!study.embedded) return study.clips[clip];
    const bytes = Uint8Array.from(atob(study.clips[clip]), (letter) => letter.charCodeAt(0));
    links.push(URL.createObjectURL(new Blob([bytes], { type: "video/mp4" })));
    return links.at(-1);
  }

  function show(shown) {
    links.forEach((link) => URL.revokeObjectURL(link));
    links = [];
    fresh = true;
    const clips = shown.left === "x" ? ["x", "y"] : ["y", "x"];
    videos.forEach((video, index) => {
      mend(video, true);
      video.src = source(pairs[shown.pair][clips[index]]);
      video.load();
    });
    clearTimeout(waiting);
    waiting = setTimeout(() => { if (fresh) startTogether(true); }, 2000); // some phones load what plays, and no sooner
  }

  function mend(video, works) {
    video.hidden = !works;
    video.parentNode.querySelector(".broken").hidden = works;
  }

  const isReady = (video) => video.hidden || video.readyState >= 3;
  const isOver = (video) => video.hidden || video.ended;

  function startTogether(ready = videos.every(isReady)) {
    if (!playing || !ready) return;
    if (!fresh) videos.forEach((video) => { video.currentTime = 0; });
    fresh = false;
    videos.forEach((video) => video.play().catch(() => {}));
  }

  function followTogether() {
    const [leader, follower] = videos;
    const late = leader.currentTime - follower.currentTime;
    if (!leader.paused && !follower.paused && !follower.seeking && Math.abs(late) > 0.06) follower.currentTime += late;
    requestAnimationFrame(followTogether);
  }

  function setPlaying(now) {
    playing = now;
    $("pause").textContent = now ? "Pause" : "Play";
    $("pause").setAttribute("aria-pressed", String(!now));
    videos.forEach((video) => video.pause());
    if (now && videos.every(isOver)) startTogether();
    else if (now) videos.forEach((video) => { if (!video.ended) video.play().catch(() => {}); });
  }

  for (const video of videos) {
    video.muted = true;
    video.addEventListener("canplay", () => { if (fresh) startTogether(); });
    video.addEventListener("ended", () => { if (videos.every(isOver)) setTimeout(() => startTogether(), 350); });
    video.addEventListener("error", () => mend(video, false));
  }
  requestAnimationFrame(followTogether);

  // What is shown

  function only(id) {
    for (const part of ["start", "rate", "end"]) $(part).hidden = part !== id;
    if (id !== "rate") videos.forEach((video) => video.pause());
    scrollTo(0, 0);
  }

  function open(question = Math.max(0, asked.findIndex((one) => !given()[one]))) {
    const pair = pairs[here().pair];
    only("rate");
    show(here());
    $("where").textContent = `Pair ${rater.at + 1} of ${order.length}`;
    $("progress").max = order.length;
    $("progress").value = rater.at;
    $("whose").textContent = rater.code;
    $("words").textContent = pair.words;
    $("still").hidden = !pair.still;
    if (pair.still) $("still").querySelector("img").src = study.stills[pair.still];
    $("told").textContent = `Pair ${rater.at + 1} of ${order.length}. The words say: ${pair.words}.`;
    active = question;
    since = performance.now();
    refresh();
    $("where").focus({ preventScroll: true });
  }

  function refresh() {
    rows.forEach((row, index) => {
      row.classList.toggle("active", index === active);
      for (const input of row.querySelectorAll("input")) input.checked = given()[asked[index]] === input.value;
    });
    $("next").disabled = !isWhole(given());
    $("next").textContent = rater.at + 1 < order.length ? "Next pair" : "Finish";
    $("back").disabled = rater.at === 0;
  }

  function answer(side) {
    given()[asked[active]] = side;
    remember();
    const open = asked.findIndex((question) => !given()[question]);
    if (open >= 0) active = open;
    refresh();
    if (open >= 0) rows[open].focus({ preventScroll: true }); // the question: a mark on one answer would lead
    else $("next").focus({ preventScroll: true });
  }

  function choose(index) {
    active = Math.min(Math.max(index, 0), asked.length - 1);
    refresh();
    rows[active].focus({ preventScroll: true });
  }

  function next() {
    if (!isWhole(given())) {
      $("told").textContent = "Choose left or right first.";
      choose(asked.findIndex((question) => !given()[question]));
      return;
    }
    takeTime();
    rater.at += 1;
    if (rater.at === order.length) rater.finished = new Date().toISOString();
    remember();
    if (rater.at < order.length) open();
    else finish();
  }

  function previous(question) {
    if (rater.at === 0) return;
    takeTime();
    rater.at -= 1;
    remember();
    open(question);
  }

  function back() {
    if (active > 0) choose(active - 1);
    else previous(asked.length - 1);
  }

  function finish() {
    since = 0;
    only("end");
    $("done").textContent = `${order.length} of ${order.length} pairs · ${rater.code}`;
    $("file").value = file();
    $("saved").textContent = "";
    $("save").focus({ preventScroll: true });
  }

  // The start

  function greet() {
    const found = known(codeOf($("code").value));
    const at = Math.min(found?.at || 0, study.each);
    const words = !found ? "Start" : at < study.each ? `Go on at pair ${at + 1} of ${study.each}` : "See my answers";
    $("begin").textContent = words;
  }

  $("code").value = kept("last") || "";
  $("code").addEventListener("input", greet);
  greet();
  keep("last", $("code").value); // whether anything can be kept
  $("unkept").hidden = keeps;

  $("enter").addEventListener("submit", (event) => {
    event.preventDefault();
    const code = codeOf($("code").value);
    const fresh = { code, at: 0, answers: {}, seconds: {}, started: new Date().toISOString(), finished: null };
    rater = known(code) || fresh;
    order = drawn(code);
    setPlaying(!still.matches);
    if (rater.at < order.length) open();
    else finish();
  });

  // Mouse and touch

  $("questions").addEventListener("change", (event) => {
    active = rows.indexOf(event.target.closest(".question"));
    answer(event.target.value);
  });
  $("questions").addEventListener("focusin", (event) => {
    active = rows.indexOf(event.target.closest(".question"));
    refresh();
  });
  $("next").addEventListener("click", next);
  $("back").addEventListener("click", () => previous());
  $("pause").addEventListener("click", () => setPlaying(!playing));
  $("again").addEventListener("click", () => {
    rater.at = order.length - 1;
    open(asked.length - 1);
  });

  // Keys

  const KEYS = {
    ArrowLeft: () => answer("left"),
    ArrowRight: () => answer("right"),
    1: () => answer("left"),
    2: () => answer("right"),
    ArrowUp: () => choose(active - 1),
    ArrowDown: () => choose(active + 1),
    Backspace: back,
    Enter: next,
    p: () => setPlaying(!playing),
  };

  document.addEventListener("keydown", (event) => {
    const act = KEYS[event.key];
    const pressed = event.target.closest?.("button") && event.key === "Enter";
    if ($("rate").hidden || !act || pressed || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (!event.repeat) act();
  });

  // The end

  $("save").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([file()], { type: "application/json" }));
    link.download = `answers-${rater.code}.json`;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    $("saved").textContent = `Saved as answers-${rater.code}.json, where your browser keeps downloads.`;
  });

  $("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(file());
    } catch {
      $("file").closest("details").open = true;
      $("file").select();
      if (!document.execCommand("copy")) {
        $("saved").textContent = "The text is marked: copy it with Ctrl+C, or ⌘C.";
        return;
      }
    }
    $("saved").textContent = "Copied: paste it into a message or a file.";
  });

  $("forget").addEventListener("click", () => {
    if (!confirm("Remove your answers from this browser? What you have not saved is lost.")) return;
    forget(rater.code);
    rater = null;
    $("code").value = "";
    greet();
    only("start");
  });

  addEventListener("beforeunload", (event) => {
    if (!keeps && rater && Object.keys(rater.answers).length) event.preventDefault();
  });
})();
