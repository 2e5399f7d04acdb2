/*
 * bench_search.h: bench_search.c measures, bench_search_plan.c looks into the
 * store past store.h and tells how a search was carried out.
 */

#ifndef BENCH_SEARCH_H
#define BENCH_SEARCH_H

#include "worker/store/store.h"

void die(const char *what, const char *why) __attribute__((noreturn));

void plan_begin(store_t *st);
void plan_before(store_t *st);
/* What was done since. */
void plan_print(store_t *st, const char *title);
/* -1: a plan had no index. */
int plan_end(store_t *st);

void sizes_print(store_t *st);

#endif
