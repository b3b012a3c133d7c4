// Discord's published description is in no package as it is; this one ships it as Zod schemas. Back to JSON Schema.
import * as z from "zod";
import * as all from "discord-api-spec/zod";

const registry = z.registry();
for (const [name, schema] of Object.entries(all))
  if (name.endsWith("Schema") && schema?._zod) registry.add(schema, { id: name.slice(0, -"Schema".length) });
const uri = (id) => `#/components/schemas/${id}`;
process.stdout.write(JSON.stringify(z.toJSONSchema(registry, { io: "input", unrepresentable: "any", uri }).schemas));
