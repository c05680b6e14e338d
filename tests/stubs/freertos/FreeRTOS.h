#pragma once
#include <stdint.h>

#include "sdkconfig.h"
typedef int BaseType_t;
typedef unsigned int UBaseType_t;
typedef uint32_t TickType_t;
typedef uint8_t StackType_t;  // ESP-IDF counts stacks in bytes
typedef struct {
  void *opaque[64];
} StaticTask_t;
#define pdFALSE ((BaseType_t)0)
#define pdTRUE ((BaseType_t)1)
#define configMAX_PRIORITIES 25
#define pdMS_TO_TICKS(xTimeInMs) ((TickType_t)(((TickType_t)(xTimeInMs) * (TickType_t)CONFIG_FREERTOS_HZ) / (TickType_t)1000))
extern "C" void stub_yield(BaseType_t woken);
#define portYIELD_FROM_ISR(woken) stub_yield(woken)
