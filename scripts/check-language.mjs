// Checks the language rules that a program can check (CONTRIBUTING.md): no sentence about "whoever", "nobody" or "somebody", and no file
// header that begins with "What" or "Who".  node scripts/check-language.mjs [FOLDER]
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const root = process.argv[2] ?? '.';
const FOLDERS = ['src', 'server/src', 'native', 'docs'];
const FILE = /\.(ts|mjs|cc|h|md)$/;
const WORD = /\b(whoever|nobody|somebody)\b/i;
const HEADER = /^(?:#pragma once\s+)?(?:\/\*\*?|\/\/|#)\s*(?:\*\s*)?(What|Who)\b/;

const findings = [];
for (const folder of FOLDERS)
  for (const entry of readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !FILE.test(entry.name)) continue;
    const file = path.join(entry.parentPath, entry.name);
    const text = readFileSync(file, 'utf8');
    const header = HEADER.exec(text);
    if (header) findings.push(`${file}:1: the header begins with "${header[1]}": say what the module does ("Parses…", "Keeps…")`);
    for (const [index, line] of text.split('\n').entries()) {
      const word = WORD.exec(line);
      if (word) findings.push(`${file}:${index + 1}: "${word[1]}" as a subject is a riddle: name the person or the thing`);
    }
  }
for (const finding of findings) console.error(finding);
process.exit(findings.length > 0 ? 1 : 0);
