// The whole script of the waiting room: the visitor's own time zone, and news as they come. Every page works without it.
"use strict";

(() => {
  const time = document.querySelector("time[data-start]");
  if (time) ownTime(time);
  const source = document.querySelector("[data-events]");
  const here = document.getElementById("live");
  if (here) go(here);
  if (source && "EventSource" in window) listen(source);

  // Says when it is in the visitor's zone, where that is another one than the meeting's.
  function ownTime(place) {
    const start = new Date(place.dataset.start * 1000);
    const end = new Date(place.dataset.end * 1000);
    if (-start.getTimezoneOffset() * 60 === Number(place.dataset.offset)) return;
    const format = new Intl.DateTimeFormat(document.documentElement.lang, {
      weekday: "long", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZoneName: "short",
    });
    const line = document.createElement("span");
    line.className = "own-time";
    line.textContent = place.dataset.label + ": " + format.formatRange(start, end);
    place.after(line);
  }

  function listen(place) {
    const live = document.getElementById("live");
    const lost = document.createElement("p");
    lost.className = "lost";
    lost.hidden = true;
    lost.textContent = place.dataset.lost;
    live.after(lost);
    const events = new EventSource(place.dataset.events);
    events.onopen = () => { lost.hidden = true; };
    events.onerror = () => { lost.hidden = false; };
    events.onmessage = (event) => show(live, event.data);
    events.addEventListener("again", () => setTimeout(() => location.reload(), Math.random() * 2000));
    events.addEventListener("over", (event) => { events.close(); show(live, event.data); });
    window.addEventListener("pagehide", () => events.close());
  }

  // Puts in what the server says, and leaves the focus where it was.
  function show(live, html) {
    const focused = document.activeElement && live.contains(document.activeElement) ? document.activeElement.id : "";
    const before = document.createElement("template");
    before.innerHTML = html;
    if (live.innerHTML.trim() === before.innerHTML.trim()) return;
    live.replaceChildren(before.content);
    const again = focused && document.getElementById(focused);
    if (again) again.focus();
    go(live);
  }

  // Leads to the conference once it is open.
  function go(live) {
    const open = live.querySelector("[data-go]");
    const status = live.querySelector("[data-title]");
    if (status && live.getAttribute("aria-atomic")) document.title = status.dataset.title + " – " + document.title.split(" – ").pop();
    if (open) setTimeout(() => location.assign(open.dataset.go), 1500);
  }
})();
