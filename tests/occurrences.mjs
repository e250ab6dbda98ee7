// When meetings take place, as ical.js (Thunderbird) expands them, with the lengths and ends of core/occurrences.py.
//
// In:  standard input, a JSON list of calendar texts. Out: a JSON list; for each text null where it does not parse, else a
//      list of its VCALENDARs, each an object from UID to either {times, endless} or {problem}.
// times: [start, end, over] in seconds since 1970 UTC, unsorted; a floating time or a date counts as UTC and is over
//      twelve hours after its end. endless: a rule has no end; times then reach YEARS after DTSTART.
// problem: "zone" a TZID that the text does not define, "start" no DTSTART, "many" more than MOST, "range" a THISANDFUTURE,
//      of which we know only a bound; else what ical.js threw.
// From ical.js: values, zones, rules, RDATE, EXDATE, and which override belongs to which occurrence. Our own, because these
// are our rules and no library's: DTSTART and overrides without an original count, how long it takes, when it is over.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { default: ICAL } = await import(pathToFileURL(process.argv[2]).href);
const MOST = 20000;
const YEARS = 5;
const DATES = ["dtstart", "dtend", "recurrence-id", "rdate", "exdate"];
const HALF_A_DAY = 12 * 3600;
const FLOATING = ICAL.Timezone.localTimezone;

const cancelled = (event) => /^\s*cancelled\s*$/i.test(event.getFirstPropertyValue("status") ?? "");
const text = (event, name) => String(event.getFirstPropertyValue(name) ?? "").trim();
const wall = (time, seconds) => {
  const later = time.clone();
  later.adjust(Math.floor(seconds / 86400), 0, 0, seconds % 86400); // of a date only the days count
  return later;
};

function* times(property) {
  for (const value of property.getValues()) yield value instanceof ICAL.Period ? value.start : value;
}

function knowsZones(event) {
  return DATES.flatMap((name) => event.getAllProperties(name)).every(
    (property) =>
      !property.getParameter("tzid") || [...times(property)].every((time) => time.isDate || time.zone !== FLOATING),
  );
}

// [seconds on the wall clock, seconds exactly], null where it cannot be believed
function between(start, end) {
  const onTheWall = start.isDate || start.zone === end.zone || [start.zone, end.zone].includes(FLOATING);
  const took = onTheWall ? end.subtractDate(start).toSeconds() : end.toUnixTime() - start.toUnixTime();
  if (took <= 0) return null;
  return onTheWall ? [took, 0] : [0, took];
}

function ofDuration(value) {
  const days = (value.weeks * 7 + value.days) * 86400;
  return value.toSeconds() > 0 ? [days, value.toSeconds() - days] : null;
}

function length(event) {
  const start = event.getFirstPropertyValue("dtstart");
  const end = event.getFirstPropertyValue("dtend");
  const duration = event.getFirstPropertyValue("duration");
  return (end && between(start, end)) || (duration && ofDuration(duration)) || (start.isDate ? [86400, 0] : [0, 3600]);
}

function taking(start, [onTheWall, exactly]) {
  const begin = start.toUnixTime();
  let end = wall(start, onTheWall).toUnixTime() + exactly;
  if (end <= begin) end = begin + onTheWall + exactly; // in an hour that is skipped
  return [begin, end, end + (start.isDate || start.zone === FLOATING ? HALF_A_DAY : 0)];
}

// RDATE;VALUE=PERIOD as RDATE, which ical.js expands, and how long each lasts, by its start.
function withoutPeriods(event) {
  const lengths = new Map();
  for (const property of event.getAllProperties("rdate")) {
    const values = property.getValues();
    if (!values.some((value) => value instanceof ICAL.Period)) continue;
    for (const { start, end, duration } of values) {
      lengths.set(start.toUnixTime(), end ? between(start, end) : ofDuration(duration));
    }
    property.resetType("date-time");
    property.setValues([...values].map((value) => value.start));
  }
  return lengths;
}

function ofSeries(master, exceptions) {
  if (exceptions.some((event) => new ICAL.Event(event).modifiesFuture())) throw new Error("range");
  const start = master.getFirstPropertyValue("dtstart");
  const lengths = withoutPeriods(master);
  const event = new ICAL.Event(master, { exceptions });
  const usual = length(master);
  const found = [];
  const endless = master.getAllProperties("rrule").some((rule) => !rule.getFirstValue().isFinite());
  const last = wall(start, YEARS * 366 * 86400);
  const take = (time) => {
    const { item } = event.getOccurrenceDetails(time);
    if (item === event) found.push(taking(time, lengths.get(time.toUnixTime()) ?? usual));
  };
  const iterator = event.iterator();
  const isStart = (time) => (time.isDate ? time.toString() === start.toString().slice(0, 10) : time.compare(start) === 0);
  const excluded = master.getAllProperties("exdate").flatMap((property) => [...times(property)]);
  if (!excluded.some(isStart)) take(start);
  for (let time; (time = iterator.next()); ) {
    if (endless && time.compare(last) > 0) break;
    if (found.length > MOST) throw new Error("many");
    take(time.clone());
  }
  return { found, endless };
}

function meeting(events) {
  if (!events.every(knowsZones)) return { problem: "zone" };
  const overrides = events.filter((event) => event.hasProperty("recurrence-id"));
  const masters = events.filter((event) => !event.hasProperty("recurrence-id") && event.hasProperty("dtstart"));
  if (!masters.length && !overrides.some((event) => event.hasProperty("dtstart"))) return { problem: "start" };
  const exceptions = overrides.filter((event) => event.hasProperty("dtstart") || cancelled(event));
  const result = { times: [], endless: false };
  for (const master of masters.filter((event) => !cancelled(event))) {
    const { found, endless } = ofSeries(master, exceptions);
    result.times.push(...found);
    result.endless ||= endless;
  }
  const last = new Map(exceptions.map((event) => [String(event.getFirstPropertyValue("recurrence-id")), event]));
  for (const event of last.values()) {
    if (!cancelled(event)) result.times.push(taking(event.getFirstPropertyValue("dtstart"), length(event)));
  }
  return result;
}

function calendars(octets) {
  let trees;
  try {
    trees = ICAL.parse(octets);
  } catch {
    return null;
  }
  if (!Array.isArray(trees[0])) trees = [trees];
  return trees.map((tree) => {
    const calendar = new ICAL.Component(tree);
    const uids = new Map();
    for (const event of calendar.getAllSubcomponents("vevent")) {
      uids.set(text(event, "uid"), [...(uids.get(text(event, "uid")) ?? []), event]);
    }
    const meetings = {};
    for (const [uid, events] of uids) {
      try {
        meetings[uid] = meeting(events);
      } catch (error) {
        meetings[uid] = { problem: error.message };
      }
    }
    return meetings;
  });
}

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf-8")).map(calendars)));
