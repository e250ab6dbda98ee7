// The whole script of the waiting room: the visitor's own time zone, and news as they come. Every page works without it.
"use strict";

(() => {
  const time = document.querySelector("time[data-start]");
  if (time) ownTime(time);
  const source = document.querySelector("[data-events]");
  const room = document.getElementById("live");
  if (source && "EventSource" in window) listen(source);
  if (room) go(room);

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
    const said = document.createElement("span"); // stays together where the line is too short
    said.textContent = format.formatRange(start, end);
    line.append(place.dataset.label + ": ", said);
    place.after(line);
  }

  function listen(place) {
    const live = document.getElementById("live");
    const lost = document.createElement("p");
    lost.className = "lost";
    lost.hidden = true;
    lost.textContent = place.dataset.lost;
    live.after(lost);
    let events;
    window.addEventListener("pagehide", () => events.close());
    connect();

    function connect() {
      events = new EventSource(place.dataset.events);
      events.onopen = () => { lost.hidden = true; };
      events.onerror = () => {
        lost.hidden = false;
        if (events.readyState === EventSource.CLOSED) anew(3000); // answered otherwise than with events: it tries no more by itself
      };
      events.onmessage = (event) => show(live, event.data);
      events.addEventListener("again", () => { events.close(); anew(0); });
      events.addEventListener("over", (event) => { events.close(); show(live, event.data); });
      events.addEventListener("later", (event) => { // too many are told at once from this network: it asks again and again
        events.close();
        show(live, event.data);
        setTimeout(connect, (Number(place.dataset.refresh) || 20) * 1000 + Math.random() * 2000);
      });
    }
  }

  // Loads the page again once the service answers; not all pages in the same moment.
  function anew(after) {
    setTimeout(() => {
      fetch(location.href, { cache: "no-store" }).then(
        (answer) => { if (answer.status < 500) location.replace(location.href); else anew(3000); },
        () => anew(3000),
      );
    }, after + Math.random() * 2000);
  }

  // Puts in what the server says, and leaves the focus where it was.
  function show(live, html) {
    const inside = live.contains(document.activeElement);
    const focused = inside ? document.activeElement.id : "";
    const before = document.createElement("template");
    before.innerHTML = html;
    if (live.innerHTML.trim() === before.innerHTML.trim()) return;
    live.replaceChildren(before.content);
    const count = document.getElementById("count"); // read out is how many wait, not each name and button anew
    const said = live.querySelector("[data-count]");
    if (count && said && count.textContent !== said.textContent) count.textContent = said.textContent;
    const again = focused && document.getElementById(focused);
    if (again) again.focus();
    else if (inside) focusOn(live);
    go(live);
  }

  // For when what had the focus is gone: not back to the top of the page.
  function focusOn(live) {
    live.tabIndex = -1;
    live.focus({ preventScroll: true });
  }

  // Leads to the conference once it is open.
  function go(live) {
    const open = live.querySelector("[data-go]");
    const status = live.querySelector("[data-title]");
    if (status && live.getAttribute("aria-atomic")) document.title = status.dataset.title + " – " + document.title.split(" – ").pop();
    const leave = document.getElementById("leave"); // a guest who goes in, was turned away or came to the end stops nothing
    if (leave && status && !status.classList.contains("wait")) {
      if (leave.contains(document.activeElement)) focusOn(live);
      leave.hidden = true;
    }
    if (open) setTimeout(() => location.replace(open.dataset.go), 1500); // "Back" leads to the page before, not to where it leads on
  }
})();
