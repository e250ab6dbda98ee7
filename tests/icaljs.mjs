// Reads a JSON list of calendar texts from standard input; writes a JSON list of jCal (RFC 7265), null for what does not parse.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { default: ICAL } = await import(pathToFileURL(process.argv[2]).href);
const parse = (text) => {
  try {
    return ICAL.parse(text);
  } catch {
    return null;
  }
};
process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf-8")).map(parse)));
