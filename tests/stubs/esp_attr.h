#pragma once
#define IRAM_ATTR
#define RTC_NOINIT_ATTR
