/**
 * The SQL that `.sql` files and analysts may use: what BigQuery and DuckDB read alike, with the
 * macros below for BigQuery's names that DuckDB lacks or means otherwise. Keep to this list.
 *
 * Statements. One SELECT: WITH, WITH RECURSIVE (at most 500 rounds), JOIN … ON or USING, [NOT]
 * EXISTS, [NOT] IN (SELECT …), GROUP BY with ROLLUP or GROUPING SETS, HAVING, WINDOW, QUALIFY,
 * ORDER BY, LIMIT, UNION ALL | DISTINCT, EXCEPT DISTINCT, INTERSECT DISTINCT, IS [NOT] DISTINCT
 * FROM. Window frames by ROWS and by RANGE over INT64; LAG, LEAD, FIRST_VALUE, LAST_VALUE and
 * NTH_VALUE, with IGNORE NULLS before the closing bracket: LAST_VALUE(x IGNORE NULLS) OVER (…).
 *
 * Values. CAST(x AS INT64 | FLOAT64 | STRING | BOOL | DATE | TIMESTAMP); text in single quotes
 * without a backslash; DATE '…' and TIMESTAMP '… +00'; `@name` for a parameter, and for a date
 * CAST(@name AS DATE). `CAST('0xff' AS INT64)` reads hex digits.
 *
 * Functions. COUNT, COUNTIF, SUM, MIN, MAX, AVG, STRING_AGG(x, ',' ORDER BY y), LOGICAL_AND,
 * LOGICAL_OR, APPROX_QUANTILES(x, 100)[OFFSET(95)]; IF, IFNULL, NULLIF, COALESCE, CASE; ABS, SIGN,
 * LN, MOD, DIV, ROUND, FLOOR, CEIL, SAFE_DIVIDE, <<, >>, &, |, BIT_COUNT; ||, SUBSTR, STRPOS, LENGTH,
 * LOWER, UPPER, TRIM, REPLACE, LPAD, STARTS_WITH, REGEXP_CONTAINS, JSON_VALUE(x, '$.name');
 * TIMESTAMP_MILLIS, TIMESTAMP_SECONDS, UNIX_MILLIS, UNIX_SECONDS, DATE(x), EXTRACT(HOUR FROM x),
 * TIMESTAMP_TRUNC(x, HOUR), DATE_TRUNC(x, MONTH), TIMESTAMP_DIFF(a, b, SECOND), DATE_DIFF(a, b,
 * DAY), TIMESTAMP_ADD, TIMESTAMP_SUB, DATE_ADD and DATE_SUB(x, INTERVAL 1 DAY), FORMAT_TIMESTAMP
 * and FORMAT_DATE('%Y-%m', x). A unit is written in capitals, and WEEK is not one of them, because
 * weeks begin on different days.
 *
 * Not allowed, because one side lacks it or means something else:
 * - `::`, backticks, double quotes, comments by #, FILTER (WHERE …), VALUES, UNNEST, arrays,
 *   structs, lambdas, `SELECT * EXCEPT | EXCLUDE`, PIVOT, SAFE_CAST, TRY_CAST, EXCEPT ALL. Numbers
 *   come from a recursive WITH.
 * - GREATEST and LEAST of what may be null (null here, ignored there): use IF. CONCAT likewise:
 *   use ||. ANY_VALUE of what may be null: use MIN or MAX.
 * - CAST of a fraction to INT64 (halves go away from zero here, to even there): CAST(ROUND(x) AS
 *   INT64), or DIV. A bare `/` by what may be 0: SAFE_DIVIDE.
 * - `NULL AS x` in a column that is not INT64: CAST(NULL AS STRING).
 * - Products of two literals beyond 2^31, `1 << n`: CAST one of them AS INT64.
 * - COUNTIF over a window: COUNT(IF(x, 1, NULL)) OVER w, which the local stand-in for BigQuery reads.
 * - LOG (another base), CURRENT_… and RAND (a run must repeat), ORDER BY that leaves ties open
 *   where the order decides a value.
 *
 * Nulls sort first ascending and last descending, as in BigQuery: the adapter sets it so.
 */

/** Run once in every session, in order. */
export const DUCKDB_MACROS: readonly string[] = [
  'CREATE TYPE FLOAT64 AS DOUBLE',
  'CREATE MACRO SAFE_DIVIDE(a, b) AS CASE WHEN b = 0 THEN NULL ELSE a / b END',
  // Integer division cuts towards zero on both sides.
  'CREATE MACRO DIV(a, b) AS a // b',
  // Of nothing, or of nulls alone, 0 and not null.
  'CREATE MACRO COUNTIF(x) AS COUNT(CASE WHEN x THEN 1 END)',
  'CREATE MACRO LOGICAL_OR(x) AS BOOL_OR(x)',
  'CREATE MACRO LOGICAL_AND(x) AS BOOL_AND(x)',
  'CREATE MACRO APPROX_QUANTILES(x, n) AS QUANTILE_DISC(x, [i / n FOR i IN RANGE(n + 1)])',
  'CREATE MACRO REGEXP_CONTAINS(x, pattern) AS REGEXP_MATCHES(x, pattern)',
  'CREATE MACRO JSON_VALUE(x, path) AS JSON_EXTRACT_STRING(x, path)',
  'CREATE MACRO TIMESTAMP_MILLIS(x) AS EPOCH_MS(CAST(x AS BIGINT))',
  'CREATE MACRO TIMESTAMP_SECONDS(x) AS EPOCH_MS(CAST(x AS BIGINT) * 1000)',
  'CREATE MACRO UNIX_MILLIS(x) AS EPOCH_MS(CAST(x AS TIMESTAMP))',
  'CREATE MACRO UNIX_SECONDS(x) AS EPOCH_MS(CAST(x AS TIMESTAMP)) // 1000',
  'CREATE MACRO TIMESTAMP_TRUNC(x, unit) AS DATETRUNC(unit, CAST(x AS TIMESTAMP))',
  'CREATE MACRO DATE_TRUNC(x, unit) AS CAST(DATETRUNC(unit, CAST(x AS DATE)) AS DATE)',
  // Whole units between, not boundaries crossed.
  'CREATE MACRO TIMESTAMP_DIFF(a, b, unit) AS DATESUB(unit, CAST(b AS TIMESTAMP), CAST(a AS TIMESTAMP))',
  'CREATE MACRO DATE_DIFF(a, b, unit) AS DATEDIFF(unit, CAST(b AS DATE), CAST(a AS DATE))',
  'CREATE MACRO TIMESTAMP_ADD(x, amount) AS CAST(x AS TIMESTAMP) + amount',
  'CREATE MACRO TIMESTAMP_SUB(x, amount) AS CAST(x AS TIMESTAMP) - amount',
  'CREATE MACRO DATE_ADD(x, amount) AS CAST(CAST(x AS DATE) + amount AS DATE)',
  'CREATE MACRO DATE_SUB(x, amount) AS CAST(CAST(x AS DATE) - amount AS DATE)',
  'CREATE MACRO FORMAT_TIMESTAMP(format, x) AS STRFTIME(CAST(x AS TIMESTAMP), format)',
  'CREATE MACRO FORMAT_DATE(format, x) AS STRFTIME(CAST(x AS DATE), format)',
]
