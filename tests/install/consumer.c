/* The smallest program that uses an installed weir: it proves headers, linking and loading. */
#include <stdio.h>

#include <weir/weir.h>

int main(void)
{
    return puts(weir_version()) < 0;
}
