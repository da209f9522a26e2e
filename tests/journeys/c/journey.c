/* The contract from C: the same tiny journey as in `../js` and `../python`, on the raw bindings, without an SDK.
 *
 * `journey.h` is generated from `wit/` when the journey is built. Everything a call returns is freed by its
 * `..._free`; ids belong to the host and are never freed. */
#include "journey.h"

#include <stdlib.h>
#include <string.h>

static journey_string_t text(const char *literal) {
  journey_string_t string;
  journey_string_set(&string, literal);
  return string;
}

static bool is(const journey_string_t *string, const char *literal) {
  return string->len == strlen(literal) && memcmp(string->ptr, literal, string->len) == 0;
}

static bool fail(journey_string_t *err, const char *why) {
  journey_string_dup(err, why);
  return false;
}

static bool get(journey_string_t url, squall_journey_http_response_t *response, squall_journey_http_error_t *error) {
  squall_journey_http_pair_t tag = {text("language"), text("c")};
  squall_journey_http_request_t request = {.method = text("GET"), .url = url, .tags = {&tag, 1}};
  return squall_journey_http_send(&request, response, error);
}

void exports_journey_options(journey_string_t *ret) { journey_string_dup(ret, "{\"vus\":1,\"iterations\":3}"); }

bool exports_journey_setup(journey_list_u8_t *ret, journey_string_t *err) {
  journey_string_t name = text("BASE_URL"), base;
  if (!squall_journey_env_get(&name, &base)) return fail(err, "c: BASE_URL is not set");
  bool listed = false;
  journey_list_tuple2_string_string_t all;
  squall_journey_env_all(&all);
  for (size_t i = 0; i < all.len; i++) listed = listed || is(&all.ptr[i].f0, "BASE_URL");
  journey_list_tuple2_string_string_free(&all);
  if (!listed) return fail(err, "c: unexpected list of variables");
  ret->ptr = base.ptr;
  ret->len = base.len;
  return true;
}

/* Ids are declared once and stay valid for the life of the instance. 0 is never an id. */
static uint32_t healthy, requests;

static bool declare(journey_string_t *err) {
  if (requests) return true;
  journey_string_t name = text("health answers 200");
  healthy = squall_journey_check_declare(&name);
  name = text("c_requests");
  squall_journey_metric_error_t refused;
  if (squall_journey_metric_declare(&name, SQUALL_JOURNEY_METRIC_KIND_COUNTER, SQUALL_JOURNEY_METRIC_UNIT_NONE,
                                    &requests, &refused))
    return true;
  squall_journey_metric_error_free(&refused);
  return fail(err, "c: the metric was refused");
}

/* Asks for what the answer does not carry with it, by id. */
static bool look_up(const squall_journey_http_response_t *response, journey_string_t *err) {
  journey_string_t name = text("X-No-Such-Header");
  journey_option_string_t header;
  squall_journey_http_lookup_error_t error;
  if (!squall_journey_http_header(response->id, &name, &header, &error) || header.is_some)
    return fail(err, "c: unexpected header");
  journey_list_u8_t body;
  if (!squall_journey_http_body(response->id, &body, &error) || body.len != response->body_length)
    return fail(err, "c: unexpected body length");
  journey_list_u8_free(&body);
  if (squall_journey_http_body(0, &body, &error) || error.tag != SQUALL_JOURNEY_HTTP_LOOKUP_ERROR_STALE ||
      error.val.stale != 0)
    return fail(err, "c: unexpected look-up error");
  squall_journey_http_lookup_error_free(&error);
  return true;
}

bool exports_journey_iterate(journey_string_t *scenario, journey_list_u8_t *data, journey_string_t *err) {
  if (!declare(err)) return false;
  squall_journey_http_response_t response;
  squall_journey_http_error_t error;

  char *address = malloc(data->len + sizeof "/health");
  memcpy(address, data->ptr, data->len);
  memcpy(address + data->len, "/health", sizeof "/health");
  journey_string_t name = text("health");
  squall_journey_group_begin(&name);
  bool answered = get(text(address), &response, &error);
  squall_journey_group_end();
  free(address);
  if (!answered) {
    squall_journey_http_error_free(&error);
    return fail(err, "c: no answer");
  }
  squall_journey_check_report(healthy, response.status == 200);
  squall_journey_metric_tag_t tag = {text("scenario_name"), *scenario};
  squall_journey_metric_list_tag_t tags = {&tag, 1};
  squall_journey_metric_add(requests, 1.0, &tags);
  if (!look_up(&response, err)) return false;

  if (get(text("http://127.0.0.1:1/"), &response, &error) || error.tag != SQUALL_JOURNEY_HTTP_ERROR_REFUSED)
    return fail(err, "c: unexpected request error");
  squall_journey_http_error_free(&error);

  double before = squall_journey_vu_now();
  squall_journey_vu_sleep(1.0);
  if (squall_journey_vu_now() < before + 1.0) return fail(err, "c: unexpected clock after a sleep");
  name = text("c: an iteration is done");
  squall_journey_log_write(SQUALL_JOURNEY_LOG_LEVEL_DEBUG, &name);
  journey_string_free(scenario);
  journey_list_u8_free(data);
  return true;
}

bool exports_journey_teardown(journey_list_u8_t *data, journey_string_t *err) {
  bool intact = data->len > 4 && memcmp(data->ptr, "http", 4) == 0;
  journey_list_u8_free(data);
  return intact || fail(err, "c: unexpected setup data");
}

void exports_journey_handle_summary(journey_string_t *summary, journey_list_tuple2_string_string_t *ret) {
  journey_string_free(summary);
  ret->ptr = NULL;
  ret->len = 0;
}
