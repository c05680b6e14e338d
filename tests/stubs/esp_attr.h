#pragma once
#define IRAM_ATTR
#define RTC_NOINIT_ATTR __attribute__((section("rtc_noinit")))
