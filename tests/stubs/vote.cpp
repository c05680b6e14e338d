// A vote of the component: how many alarms of how many windows and its stride, then a text of 1 for an alarm, 0 for
// none and r for a reset, as arguments; 1 where it holds and 0 where not to standard output.
#include <cstdio>
#include <cstdlib>

#include "gyrovae/score.h"

int main(int, char **words) {
  gyrovae::score::Vote vote(std::atoi(words[1]), std::atoi(words[2]), std::atoi(words[3]));
  for (const char *one = words[4]; *one; one++) {
    if (*one == 'r') {
      vote.reset();
    } else {
      std::putchar(vote.add(*one == '1') ? '1' : '0');
    }
  }
}
